"""The latest scores: the rounds that the API publishes, or its leaderboard while it has none.

``GET /rounds?competition_id=tts`` answers a list of objects with ``number``, ``digest`` (null while
the round is open) and ``closed``; ``GET /rounds/NUMBER?competition_id=tts`` a ``SignedRound``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from neurons import validator_leaderboard
from neurons.chain_past import PastCommitments
from neurons.service_api import ServiceApi, ServiceError, ServiceRefusedError
from neurons.service_identity import round_signers
from neurons.validator_evidence import contradictions
from neurons.validator_leaderboard import Dropped, as_snapshot, read_digest, read_leaderboard
from scoring.competition import RoundSnapshot, Rules, SignedRound
from scoring.contract import Hex64
from utilities.chain_rounds import RoundForgedError, check_round
from utilities.chain_view import View
from utilities.round_signers import RoundSigners

MAX_DIGESTS: Final = 4_096

_NOT_FOUND: Final = 404


class NoScoresError(ServiceError):
    """The API has scored nothing yet."""

    code: ClassVar[str] = "API_NO_SCORES"
    transient: ClassVar[bool] = True


class RoundChangedError(ServiceError):
    """A published round, which cannot change, did."""

    code: ClassVar[str] = "ROUND_CHANGED"


class RoundEntry(BaseModel):
    """One line of ``GET /rounds``."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(ge=0, lt=2**48)
    digest: Hex64 | None = None
    closed: bool


@dataclass(frozen=True)
class Scores:
    """Snapshots to weigh under ``rules``, oldest first.

    ``excluded`` are submissions of theirs that the chain speaks against, ``dropped`` what did not
    even get into one; ``digests`` names the published rounds that were used.
    """

    snapshots: tuple[RoundSnapshot, ...]
    rules: Rules
    excluded: Mapping[int, str]
    dropped: tuple[Dropped, ...]
    digests: Mapping[int, str]

    @property
    def newest(self) -> RoundSnapshot:
        """The snapshot of the last round."""
        return self.snapshots[-1]


class ScoreSource:
    """One competition of one API. Rounds are fetched once: they do not change."""

    def __init__(
        self, api: ServiceApi, competition_id: str, *, signers: RoundSigners | None, rules: Rules
    ) -> None:
        """``signers`` are the hotkeys that sign rounds; None: those that the API names."""
        self._api = api
        self._competition_id = competition_id
        self._signers = signers
        self.rules: Final = rules
        self._fetched: dict[str, RoundSnapshot] = {}
        # Measured once and for all: asking again would only use up what the API allows.
        self._digest_of = lru_cache(MAX_DIGESTS)(partial(read_digest, api))

    def latest(self, view: View, past: PastCommitments, seen: Mapping[int, str]) -> Scores:
        """The latest scores. ``seen`` are the digests of the rounds that were published before.

        Raises ServiceError, RoundForgedError and ChainError.
        """
        published = self._closed_rounds()
        if published or seen:
            # Once there were rounds, nothing unsigned takes their place.
            return self._of_rounds(published, view, past, seen)
        return self._of_leaderboard(view, past)

    def _closed_rounds(self) -> dict[int, str]:
        try:
            listed = self._api.get(
                "/rounds", tuple[RoundEntry, ...], competition_id=self._competition_id
            )
        except ServiceRefusedError as error:
            if error.status == _NOT_FOUND:
                return {}
            raise
        return {e.number: e.digest for e in listed if e.closed and e.digest is not None}

    def _of_rounds(
        self,
        published: Mapping[int, str],
        view: View,
        past: PastCommitments,
        seen: Mapping[int, str],
    ) -> Scores:
        _check_unchanged(published, seen)
        newest = sorted(published)[-self.rules.window :]
        digests = {number: published[number] for number in newest}
        self._fetched = {digest: self._fetch(number, digest) for number, digest in digests.items()}
        snapshots = tuple(self._fetched.values())
        excluded = contradictions(snapshots[-1], view, past)
        return Scores(snapshots, self.rules, excluded, (), digests)

    def _fetch(self, number: int, digest: str) -> RoundSnapshot:
        if (known := self._fetched.get(digest)) is not None:
            return known
        path = f"/rounds/{number}"
        signed = self._api.get(path, SignedRound, competition_id=self._competition_id)
        snapshot = check_round(signed, signer=self._signer_of(number))
        found = (snapshot.number, snapshot.competition_id, snapshot.digest)
        if found != (number, self._competition_id, digest):
            raise RoundForgedError(
                f"GET {path} answers {found} instead of {number}, {self._competition_id}, {digest}",
                "Do not use it. Ask whoever runs the API.",
            )
        return snapshot

    def _signer_of(self, number: int) -> str:
        signers = self._signers or round_signers(self._api)
        if signers is None:
            raise RoundForgedError(
                f"round {number}: the API names no hotkey that signs rounds",
                "Set --round_signers to what the API's operator publishes.",
            )
        return signers.of(number)

    def _of_leaderboard(self, view: View, past: PastCommitments) -> Scores:
        board = read_leaderboard(self._api, self._competition_id)
        snapshot, dropped = as_snapshot(board, self._competition_id, view, past, self._digest_of)
        if snapshot is None:
            raise NoScoresError(
                f"{self._api.url} has no scores for competition {self._competition_id}",
                "Wait until the first submission is scored.",
            )
        return Scores((snapshot,), validator_leaderboard.RULES, {}, dropped, {})


def _check_unchanged(published: Mapping[int, str], seen: Mapping[int, str]) -> None:
    changed = sorted(n for n, digest in published.items() if seen.get(n, digest) != digest)
    if changed:
        raise RoundChangedError(
            f"rounds {changed} were published before with another digest",
            "They are not used. Ask whoever runs the API.",
        )
    if seen and max(published, default=-1) < max(seen):
        raise RoundChangedError(
            f"round {max(seen)} was published before and is gone",
            "Nothing older is used instead. Ask whoever runs the API.",
        )
