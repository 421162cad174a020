"""Which submissions are copies of whose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scoring.competition.priority import Priority, priority_of
from scoring.competition.records import NearCopy, Standing


@dataclass(frozen=True)
class _Author:
    """Who answers for a submission. One hotkey under two coldkeys is still one author."""

    hotkey: str
    coldkey: str

    def same_as(self, other: _Author) -> bool:
        return self.hotkey == other.hotkey or self.coldkey == other.coldkey


@dataclass(frozen=True)
class _Submission:
    priority: Priority
    author: _Author


def originals_of_copies(
    standings: Iterable[Standing], *, coldkeys: Mapping[str, str], seed: str
) -> dict[int, int]:
    """The copies among ``standings``, each with the id of its original.

    Equal weights and near copies are links. In the order of priority, each submission is judged by
    its links to earlier ones alone, so that nothing that comes later can make a copy of it:

    - a link to somebody else's original makes it a copy of that;
    - else a link to an original of its own author makes it another version of that;
    - else a link to a copy makes it a copy of the same original.

    The middle rule protects the author whose model was copied before it published the next version.
    ``coldkeys`` are those that the chain has now; for other hotkeys the published one is taken.
    """
    submissions, links = _graph(standings, coldkeys, seed)
    originals: dict[int, int] = {}
    for number in sorted(submissions, key=lambda n: submissions[n].priority):
        author = submissions[number].author
        earlier = sorted(
            (n for n in links[number] if submissions[n].priority < submissions[number].priority),
            key=lambda n: submissions[n].priority,
        )
        direct = [n for n in earlier if n not in originals]
        through = [originals[n] for n in earlier if n in originals]
        candidates = direct or through
        foreign = [n for n in candidates if not author.same_as(submissions[n].author)]
        if foreign:
            originals[number] = foreign[0]
    return originals


def _graph(
    standings: Iterable[Standing], coldkeys: Mapping[str, str], seed: str
) -> tuple[dict[int, _Submission], dict[int, set[int]]]:
    submissions: dict[int, _Submission] = {}
    links: dict[int, set[int]] = defaultdict(set)
    by_digest: dict[str, set[int]] = defaultdict(set)
    known = list(standings)

    def note(submission: Standing | NearCopy) -> None:
        coldkey = coldkeys.get(submission.hotkey, submission.coldkey)
        author = _Author(submission.hotkey, coldkey)
        submissions[submission.submission_id] = _Submission(priority_of(submission, seed), author)

    for standing in known:
        for other in standing.near_copies:
            note(other)
            links[standing.submission_id].add(other.submission_id)
            links[other.submission_id].add(standing.submission_id)
        if standing.weights_digest is not None:
            by_digest[standing.weights_digest].add(standing.submission_id)
    for standing in known:  # after the links: what is published of itself is the newer word
        note(standing)
    for same in by_digest.values():
        for number in same:
            links[number] |= same - {number}
    return submissions, links
