"""The order of submissions on a real Postgres: its ranks, its pages, and that it is never old."""

from __future__ import annotations

import pytest
from service_helpers import new_submission

from scoring.competition import tied_ranks
from voice_validation_api.api_models import interval_of
from voice_validation_api.database import Database
from voice_validation_api.rankings import Rankings
from voice_validation_api.records import Claim, Score
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

PROTOCOL, NEWER_PROTOCOL = "1" * 64, "2" * 64


@pytest.fixture
def rankings(database: Database) -> Rankings:
    return Rankings(database)


def claim_one(store: Store, queue: SubmissionQueue, block: int) -> Claim:
    store.submit(new_submission(block))
    claim = queue.claim()
    assert claim is not None
    queue.start_running(claim)
    return claim


def complete(queue: SubmissionQueue, claim: Claim, score: float, protocol: str = PROTOCOL) -> None:
    found = Score(
        protocol=protocol,
        prompts_digest="3" * 64,
        score=score,
        low=score - 0.05,
        high=score + 0.05,
        wer=0.1,
        human_likeness=score,
        scored=1,
        unscored=0,
    )
    queue.complete(claim, found, weights_digest="ab" * 32, details={}, samples=(), log="")


def test_every_page_shows_the_ranks_of_the_whole(
    rankings: Rankings, store: Store, queue: SubmissionQueue
) -> None:
    for block in range(1, 21):
        complete(queue, claim_one(store, queue, block), 0.1 + (block * 7 % 20) * 0.04)
    protocol, whole = rankings.page("tts", limit=100, offset=0)
    assert protocol == PROTOCOL
    assert [(-e.score, e.block) for e in whole] == sorted((-e.score, e.block) for e in whole)
    assert [e.rank for e in whole] == tied_ranks([interval_of(e) for e in whole])
    assert len({e.rank for e in whole}) < len(whole) == 20
    for offset in range(0, 24, 3):
        _, page = rankings.page("tts", limit=3, offset=offset)
        assert page == whole[offset : offset + 3]


def test_of_equal_scores_the_earlier_block_comes_first(
    rankings: Rankings, store: Store, queue: SubmissionQueue
) -> None:
    for block, score in ((10, 0.5), (20, 0.9), (30, 0.5), (40, 0.1)):
        complete(queue, claim_one(store, queue, block), score)
    _, entries = rankings.page("tts", limit=9, offset=0)
    assert [(e.rank, e.block) for e in entries] == [(1, 20), (2, 10), (2, 30), (4, 40)]
    assert rankings.page("roleplay", limit=9, offset=0) == (None, ())


def test_a_score_that_ends_late_is_seen_though_its_evaluation_began_early(
    rankings: Rankings, store: Store, queue: SubmissionQueue
) -> None:
    early, late = claim_one(store, queue, 1), claim_one(store, queue, 2)
    complete(queue, late, 0.5)
    assert [e.block for e in rankings.page("tts", limit=9, offset=0)[1]] == [2]
    complete(queue, early, 0.9)
    assert [e.block for e in rankings.page("tts", limit=9, offset=0)[1]] == [1, 2]


def test_the_first_score_under_a_newer_protocol_begins_a_new_ranking(
    rankings: Rankings, store: Store, queue: SubmissionQueue
) -> None:
    complete(queue, claim_one(store, queue, 1), 0.9)
    assert rankings.page("tts", limit=9, offset=0)[0] == PROTOCOL
    complete(queue, claim_one(store, queue, 2), 0.5, NEWER_PROTOCOL)
    protocol, entries = rankings.page("tts", limit=9, offset=0)
    assert (protocol, [(e.rank, e.block) for e in entries]) == (NEWER_PROTOCOL, [(1, 2)])


def test_without_scores_there_is_no_protocol(rankings: Rankings) -> None:
    assert rankings.page("tts", limit=9, offset=0) == (None, ())
