"""Who is held in a round for being a near copy."""

from __future__ import annotations

from competition_rounds import Entry, near_copy, standing

from scoring.competition import NearCopy
from voice_validation_api.rounds.copying import with_near_copies

SEED = "5" * 64
FIRST = Entry(number=1, block=100)
COPY = Entry(number=2, block=200)
OTHER = Entry(number=3, block=300)


def found(*pairs: tuple[Entry, Entry]) -> dict[int, tuple[NearCopy, ...]]:
    told: dict[int, tuple[NearCopy, ...]] = {}
    for one, other in pairs:
        told[one.number] = (*told.get(one.number, ()), near_copy(other))
        told[other.number] = (*told.get(other.number, ()), near_copy(one))
    return told


def states(entries: tuple[Entry, ...], *pairs: tuple[Entry, Entry]) -> list[str]:
    standings = [standing(entry, SEED) for entry in entries]
    return [s.state for s in with_near_copies(standings, found(*pairs), seed=SEED)]


def test_the_later_one_of_another_author_is_held() -> None:
    assert states((FIRST, COPY, OTHER), (FIRST, COPY)) == ["counts", "held", "counts"]


def test_both_publish_the_evidence() -> None:
    first, copy = with_near_copies(
        [standing(FIRST, SEED), standing(COPY, SEED)], found((FIRST, COPY)), seed=SEED
    )

    assert [other.submission_id for other in first.near_copies] == [2]
    assert [other.submission_id for other in copy.near_copies] == [1]
    assert copy.reason == "it is a near copy of submission 1, which was there first"


def test_an_authors_next_version_is_not_held() -> None:
    version = Entry(number=2, block=200, hotkey=FIRST.owner, coldkey=FIRST.payer)

    assert states((FIRST, version), (FIRST, version)) == ["counts", "counts"]


def test_a_copy_is_held_though_its_original_is_not_in_the_round() -> None:
    assert states((COPY,), (FIRST, COPY)) == ["held"]


def test_what_is_suspended_stays_so() -> None:
    gone = Entry(number=2, block=200, state="suspended", quality=None)

    assert states((FIRST, gone), (FIRST, gone)) == ["counts", "suspended"]
