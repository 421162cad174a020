"""What is published of a round."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from scoring.competition import PreviousRound
from scoring.competition.rounds import round_seed
from voice_validation_api.records import SubmissionId
from voice_validation_api.rounds.records import Entry, RoundState, RunningRound
from voice_validation_api.rounds.snapshot import protocol_of, snapshot_of
from voice_validation_api.status import Priority, SubmissionStatus

HASH = "0x" + "ab" * 32
PROTOCOL = ("1" * 64, "2" * 64)
RUNNING = RunningRound(
    competition_id="tts",
    number=3,
    state=RoundState.SCORING,
    start_block=21_600,
    seed_block=21_610,
    end_block=28_800,
    seed_block_hash=HASH,
    seed=round_seed("tts", 3, HASH),
    opened_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
)
SCORED = Entry(
    submission_id=SubmissionId(1),
    hotkey="hot",
    coldkey="cold",
    absence=None,
    namespace="alice",
    name="voice",
    revision="a" * 40,
    block=100,
    block_hash=HASH,
    commitment="alice:voice",
    sealed_block=None,
    pinned_block=120,
    committed_digest=None,
    weights_digest="d" * 64,
    status=SubmissionStatus.COMPLETED,
    priority=Priority.NORMAL,
    misses=0,
    failure_message=None,
    protocol=PROTOCOL[0],
    prompts_digest=PROTOCOL[1],
    score=0.5,
    low=0.4,
    high=0.6,
    wer=0.1,
    human_likeness=0.7,
    superseded_block=None,
    prompt_scores=(0.5, None),
)
UNSCORED = replace(
    SCORED,
    submission_id=SubmissionId(2),
    protocol=None,
    prompts_digest=None,
    score=None,
    prompt_scores=None,
)


def standing_of(entry: Entry, protocol: tuple[str, str] = PROTOCOL):  # type: ignore[no-untyped-def]
    snapshot = snapshot_of(
        RUNNING, [entry], protocol=protocol, previous=None, near_copies={}, closed_block=21_700
    )
    return snapshot.standings[0]


def test_a_score_is_published_with_those_of_its_prompts() -> None:
    result = standing_of(SCORED).result
    assert result is not None
    assert (result.score, result.prompt_scores) == (0.5, (0.5, None))


def test_the_round_names_the_one_before() -> None:
    previous = PreviousRound(number=2, digest="e" * 64)
    snapshot = snapshot_of(
        RUNNING, [SCORED], protocol=PROTOCOL, previous=previous, near_copies={}, closed_block=21_700
    )
    assert snapshot.previous == previous
    assert snapshot.seed == RUNNING.seed


def test_the_protocol_of_most_is_that_of_the_round_and_others_stay_unscored() -> None:
    stray = replace(SCORED, submission_id=SubmissionId(3), protocol="9" * 64)
    more = replace(SCORED, submission_id=SubmissionId(4))
    assert protocol_of([stray, SCORED, more, UNSCORED]) == PROTOCOL
    standing = standing_of(stray)
    assert standing.result is None
    assert "scored under protocol 999" in standing.reason


def test_a_round_without_a_score_has_no_protocol() -> None:
    assert protocol_of([UNSCORED]) is None


def test_a_failure_is_told_in_its_own_words() -> None:
    failed = replace(UNSCORED, status=SubmissionStatus.FAILED, failure_message="no weights")
    standing = standing_of(failed)
    assert (standing.result, standing.state, standing.reason) == (None, "counts", "no weights")


def test_the_third_miss_in_a_row_suspends() -> None:
    absent = replace(UNSCORED, absence="gone")
    assert standing_of(replace(absent, misses=2)).state == "counts"
    suspended = standing_of(replace(absent, misses=3))
    assert (suspended.state, suspended.reason) == ("suspended", "gone, for 3 of 3 rounds")


def test_what_a_round_waits_for() -> None:
    waiting = replace(UNSCORED, status=SubmissionStatus.QUEUED)
    assert not waiting.is_settled
    assert not replace(waiting, status=SubmissionStatus.RUNNING).is_settled
    assert replace(waiting, priority=Priority.PARKED).is_settled
    assert replace(waiting, absence="gone").is_settled
    assert replace(waiting, status=SubmissionStatus.FAILED).is_settled
    assert SCORED.is_settled
