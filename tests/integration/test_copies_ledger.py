"""Sketches as workers hand them in, and the near copies that are found among them."""

from __future__ import annotations

from typing import Any

import pytest
from made_sketches import drawn, model, noise
from queue_helpers import SCORE
from service_helpers import new_submission, run_sql

from voice_validation_api.copies import Pair
from voice_validation_api.copies_ledger import CopyLedger
from voice_validation_api.database import Database
from voice_validation_api.records import Submission
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

ORIGINAL = drawn(1, 0.05)


def details(pair: Pair | None) -> dict[str, Any]:
    sketch, behaviour = (None, None) if pair is None else (p.model_dump(mode="json") for p in pair)
    return {"synthesiser": {"kind": "parler", "sketch": sketch, "behaviour": behaviour}}


def evaluated(
    store: Store, queue: SubmissionQueue, block: int, pair: Pair | None, **changes: Any
) -> Submission:
    submission = store.submit(new_submission(block, **changes))
    claim = queue.claim()
    assert claim is not None
    assert claim.submission_id == submission.id
    queue.start_running(claim)
    queue.complete(claim, SCORE, weights_digest="d" * 64, details=details(pair), samples=[], log="")
    return submission


def in_a_round(dsn: str, *submissions: Submission) -> None:
    """What the keeper knows of those that were drawn: pinned blocks and coldkeys."""
    run_sql(dsn, "UPDATE submissions SET pinned_block = block + 10")
    run_sql(
        dsn,
        "INSERT INTO rounds (competition_id, number, start_block, seed_block, end_block)"
        " VALUES ('tts', 1, 1, 2, 3)",
    )
    for submission in submissions:
        run_sql(
            dsn,
            "INSERT INTO round_entries (competition_id, number, submission_id, coldkey)"
            " VALUES ('tts', 1, %s, %s)",
            submission.id,
            f"coldkey of {submission.id}",
        )


@pytest.fixture
def ledger(database: Database) -> CopyLedger:
    return CopyLedger(database, "tts")


def test_a_copy_is_found_and_told_on_both_sides(
    dsn: str, store: Store, queue: SubmissionQueue, ledger: CopyLedger
) -> None:
    first = evaluated(store, queue, 100, model(ORIGINAL))
    other = evaluated(store, queue, 110, model(drawn(2, 0.05)))
    copy = evaluated(store, queue, 120, model(ORIGINAL + noise(3, 1.0)), committed_digest="d" * 64)
    in_a_round(dsn, first, other, copy)

    assert ledger.find() == 3

    found = ledger.near_copies([first.id, other.id, copy.id])
    assert set(found) == {first.id, copy.id}
    [of_copy], [of_first] = found[copy.id], found[first.id]
    assert of_copy.submission_id == first.id
    assert of_copy.coldkey == f"coldkey of {first.id}"
    assert of_copy.priority_block == of_copy.pinned_block == 110
    assert "difference from the base model" in of_copy.evidence
    # Its commitment carries the digest that was measured, so it counts from there.
    assert (of_first.submission_id, of_first.priority_block) == (copy.id, 120)


def test_nothing_is_compared_twice(
    store: Store, queue: SubmissionQueue, ledger: CopyLedger
) -> None:
    evaluated(store, queue, 100, model(ORIGINAL))
    assert ledger.find() == 1
    evaluated(store, queue, 110, model(ORIGINAL))

    assert ledger.find() == 1
    assert ledger.find() == 0


def test_what_only_weighs_alike_is_kept_for_the_operator_and_told_nobody(
    dsn: str, store: Store, queue: SubmissionQueue, ledger: CopyLedger
) -> None:
    first = evaluated(store, queue, 100, model(ORIGINAL))
    second = evaluated(store, queue, 110, model(ORIGINAL, behaviour=drawn(9, 0.05)))
    in_a_round(dsn, first, second)

    ledger.find()

    assert run_sql(dsn, "SELECT confirmed FROM copies") == [(False,)]
    assert ledger.near_copies([first.id, second.id]) == {}


def test_sketches_of_another_base_model_are_left_alone(
    dsn: str, store: Store, queue: SubmissionQueue, ledger: CopyLedger
) -> None:
    evaluated(store, queue, 100, model(ORIGINAL))
    evaluated(store, queue, 110, model(ORIGINAL, base="b"))

    assert ledger.find() == 2
    assert run_sql(dsn, "SELECT count(*) FROM copies") == [(0,)]


def test_a_score_is_kept_without_its_sketches(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    submission = evaluated(store, queue, 100, model(ORIGINAL))

    result = store.result(submission.id)

    assert result is not None
    assert result.details["synthesiser"] == {"kind": "parler"}
    assert run_sql(dsn, "SELECT submission_id FROM sketches") == [(submission.id,)]


def test_a_score_may_come_without_sketches(
    dsn: str, store: Store, queue: SubmissionQueue, ledger: CopyLedger
) -> None:
    evaluated(store, queue, 100, None)

    assert ledger.find() == 0
    assert run_sql(dsn, "SELECT count(*) FROM sketches") == [(0,)]
