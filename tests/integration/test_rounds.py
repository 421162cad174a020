"""Rounds on a real chain, queue and hub: drawn, seeded, scored, signed, published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from devnet_helpers import RunningDevnet, new_wallet, running_devnet
from made_sketches import drawn, model, noise
from round_subnet import RULES, Subnet
from service_helpers import run_sql
from service_processes import ADMIN_KEY, running_api
from worker_bench import SCORES, Bench

from scoring.competition.rounds import round_seed
from utilities.chain import Chain
from voice_validation_api.rounds.ledger import RoundMovedError
from voice_validation_api.rounds.outcome import newest_outcome
from voice_validation_api.rounds.records import RoundState

LENGTH = RULES.round_length


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        yield running


@pytest.fixture
def subnet(devnet: RunningDevnet, bench: Bench, tmp_path: Path) -> Iterator[Subnet]:
    with Chain(devnet.url) as chain:
        yield Subnet(devnet, chain, bench, tmp_path, new_wallet(tmp_path, "service"))


def test_a_round_is_drawn_seeded_scored_and_published(subnet: Subnet) -> None:
    first, second = subnet.commit("one"), subnet.commit("two")
    number = subnet.through_round()
    snapshot = subnet.published(number)
    assert [s.submission_id for s in snapshot.standings] == [first.id, second.id]
    assert all(
        s.result is not None and len(s.result.prompt_scores) == 2 for s in snapshot.standings
    )
    assert snapshot.seed_block == number * LENGTH + 10
    assert snapshot.seed == round_seed("tts", number, snapshot.seed_block_hash)
    assert subnet.chain.block_hash(snapshot.seed_block) == snapshot.seed_block_hash
    outcome = newest_outcome(subnet.ledger)
    assert outcome.number == number
    # The same weights: the later one is a copy of the first.
    assert outcome.decided[first.id].weight == 1.0
    assert outcome.decided[second.id].verdict == "copy"


def test_a_near_copy_is_held_with_the_evidence_published(subnet: Subnet) -> None:
    original, copy, other = (subnet.commit(name) for name in ("original", "copy", "other"))
    number = subnet.next_round()
    subnet.keep()
    subnet.advance_to(number * LENGTH + RULES.seed_delay)
    subnet.keep()
    subnet.bench.work(_with_own_weights())
    difference = drawn(1, 0.05)
    for submission, numbers in (
        (original, difference),
        (copy, difference + noise(1, 1.0)),
        (other, drawn(2, 0.05)),
    ):
        run_sql(
            subnet.bench.dsn,
            "INSERT INTO sketches (submission_id, competition_id, weights, behaviour)"
            " VALUES (%s, 'tts', %s, %s)",
            submission.id,
            *(sketch.model_dump_json() for sketch in model(numbers)),
        )
    subnet.keep()
    standings = subnet.published(number).standings
    assert [s.state for s in standings] == ["counts", "held", "counts"]
    [near] = standings[1].near_copies
    assert near.submission_id == original.id
    outcome = newest_outcome(subnet.ledger)
    assert outcome.decided[copy.id].verdict == "held"
    assert outcome.decided[copy.id].weight is None


def test_nobody_knows_the_prompts_before_the_seed_block_is_final(subnet: Subnet) -> None:
    subnet.commit("secret")
    number = subnet.next_round()
    subnet.keep()
    assert subnet.state() is RoundState.OPEN
    [row] = subnet.ledger.listed(limit=1, offset=0)
    assert row.seed is None
    with subnet.bench.worker(SCORES, calibration=False) as worker:
        assert worker.queue.claim() is None
    subnet.advance_to(number * LENGTH + RULES.seed_delay)
    subnet.keep()
    with subnet.bench.worker(SCORES, calibration=False) as worker:
        claim = worker.queue.claim()
        assert claim is not None
        assert claim.prompt_seed == subnet.ledger.listed(limit=1, offset=0)[0].seed
        worker.queue.hand_back(claim)


def test_the_best_and_the_new_are_scored_on_the_same_new_prompts(subnet: Subnet) -> None:
    old = subnet.commit("old")
    first = subnet.published(subnet.through_round())
    new = subnet.commit("new")
    second = subnet.published(subnet.through_round())
    assert [s.submission_id for s in second.standings] == [old.id, new.id]
    assert second.seed != first.seed
    assert second.prompts_digest != first.prompts_digest
    assert second.previous is not None
    assert second.previous.digest == first.digest


def test_what_is_pinned_after_the_start_waits_for_the_next_round(subnet: Subnet) -> None:
    subnet.commit("early")
    number = subnet.next_round()
    late = subnet.commit("late")
    subnet.advance_to(number * LENGTH + RULES.seed_delay + 5)
    subnet.keep()
    subnet.bench.work(SCORES)
    subnet.keep()
    assert late.id not in {s.submission_id for s in subnet.published(number).standings}
    following = subnet.published(subnet.through_round())
    assert late.id in {s.submission_id for s in following.standings}


def test_what_was_published_cannot_be_changed(subnet: Subnet) -> None:
    subnet.commit("fixed")
    number = subnet.through_round()
    for change in ("UPDATE rounds SET weights = '{}'", "DELETE FROM rounds"):
        with pytest.raises(Exception, match="has ended and does not change"):
            run_sql(subnet.bench.dsn, f"{change} WHERE number = %s", number)


def test_a_round_ends_without_those_that_are_not_scored_in_time(subnet: Subnet) -> None:
    quick, stuck = subnet.commit("quick"), subnet.commit("stuck")
    number = subnet.next_round()
    subnet.keep()
    subnet.advance_to(number * LENGTH + RULES.seed_delay)
    subnet.keep()
    with subnet.bench.worker(SCORES, calibration=False) as worker:
        first = worker.queue.claim()
        assert first is not None
        run_sql(
            subnet.bench.dsn,
            "UPDATE submissions SET not_before = now() + interval '1 day' WHERE id = %s",
            quick.id if first.submission_id == stuck.id else stuck.id,
        )
        worker.queue.hand_back(first)
    subnet.bench.work(SCORES)
    subnet.keep()
    assert subnet.state() is RoundState.SCORING
    run_sql(subnet.bench.dsn, "UPDATE submissions SET not_before = now()")
    with subnet.bench.worker(SCORES, calibration=False) as worker:
        held = worker.queue.claim()
        assert held is not None
        subnet.advance_to((number + 1) * LENGTH)
        subnet.keep()
        # The claim is worth nothing any more.
        with pytest.raises(Exception, match="lost submission"):
            worker.queue.heartbeat(held)
    by_id = {s.submission_id: s for s in subnet.published(number).standings}
    unscored = by_id[held.submission_id]
    assert unscored.result is None
    assert "the next one will" in unscored.reason
    # And it is: together with the one that was scored, in the round that has begun meanwhile.
    subnet.advance_to((number + 1) * LENGTH + RULES.seed_delay)
    subnet.keep()
    subnet.bench.work(SCORES)
    subnet.keep()
    assert all(s.result for s in subnet.published(number + 1).standings)


def test_three_misses_in_a_row_suspend_and_two_do_not(subnet: Subnet) -> None:
    subnet.commit("anchor")
    gone = subnet.commit("vanishing")
    # Another model than the anchor's, so that it competes.
    subnet.through_round(program=_with_own_weights())
    subnet.bench.hub.api().update_repo_settings("alice/vanishing", private=True)
    states = []
    for _ in range(3):
        number = subnet.through_round(program=_with_own_weights())
        [standing] = [s for s in subnet.published(number).standings if s.submission_id == gone.id]
        assert standing.result is None
        states.append(standing.state)
    assert states == ["counts", "counts", "suspended"]
    number = subnet.through_round(program=_with_own_weights())
    assert gone.id not in {s.submission_id for s in subnet.published(number).standings}


def test_a_parked_submission_gets_another_chance_in_the_next_round(subnet: Subnet) -> None:
    subnet.commit("healthy")
    parked = subnet.commit("unlucky")
    subnet.next_round()
    subnet.keep()
    run_sql(
        subnet.bench.dsn,
        "UPDATE submissions SET priority = 'PARKED', attempts = 3 WHERE id = %s",
        parked.id,
    )
    number = subnet.chain.block() // LENGTH
    subnet.advance_to(number * LENGTH + RULES.seed_delay)
    subnet.keep()
    subnet.bench.work(SCORES)
    subnet.keep()
    by_id = {s.submission_id: s for s in subnet.published(number).standings}
    assert by_id[parked.id].result is None
    following = subnet.published(subnet.through_round())
    assert {s.submission_id: s.result is not None for s in following.standings}[parked.id]


def test_a_round_of_failures_alone_is_void_and_the_next_goes_on(subnet: Subnet) -> None:
    hopeless = subnet.commit("hopeless")
    fails = """
        failure = {"code": 201, "message": "unreadable", "remedy": ""}
        (out / "result.json").write_text(json.dumps({"status": "FAILED", "failure": failure}))
    """
    number = subnet.through_round(program=fails)
    assert subnet.ledger.round(number) is None
    assert subnet.ledger.listed(limit=1, offset=0)[0].state is RoundState.VOID
    good = subnet.commit("good")
    snapshot = subnet.published(subnet.through_round())
    assert [s.submission_id for s in snapshot.standings] == [good.id]
    assert hopeless.id != good.id


def test_a_keeper_that_was_away_for_rounds_opens_the_present_one(subnet: Subnet) -> None:
    subnet.commit("patient")
    before = subnet.chain.block() // LENGTH
    subnet.advance_to((before + 3) * LENGTH + 20)
    subnet.keep()
    assert [row.number for row in subnet.ledger.listed(limit=9, offset=0)] == [before + 3]
    subnet.bench.work(SCORES)
    subnet.keep()
    assert subnet.published(before + 3).closed_block > (before + 3) * LENGTH


def test_a_round_whose_seed_was_never_drawn_in_its_time_is_void(subnet: Subnet) -> None:
    subnet.commit("idle")
    number = subnet.next_round()
    subnet.keep()
    subnet.advance_to((number + 1) * LENGTH)
    subnet.keep()
    states = {row.number: row.state for row in subnet.ledger.listed(limit=2, offset=0)}
    assert states == {number: RoundState.VOID, number + 1: RoundState.OPEN}


def test_of_two_keepers_one_moves_a_round_on(subnet: Subnet) -> None:
    subnet.commit("shared")
    number = subnet.next_round()
    subnet.keep()
    subnet.advance_to(number * LENGTH + RULES.seed_delay)
    running = subnet.ledger.running()
    assert running is not None
    block_hash = subnet.chain.block_hash(running.seed_block)
    assert block_hash is not None
    seed = round_seed("tts", number, block_hash)
    subnet.ledger.seed(number, block_hash=block_hash, seed=seed)
    with pytest.raises(RoundMovedError):
        subnet.ledger.seed(number, block_hash=block_hash, seed=seed)
    with pytest.raises(ValueError, match="rounds"):
        subnet.ledger.open(running.times, [])


def test_without_rounds_submissions_are_scored_as_they_come(subnet: Subnet) -> None:
    one = subnet.bench.submit("free")
    subnet.bench.work(SCORES)
    assert subnet.bench.current(one).status.value == "COMPLETED"


def test_a_submission_without_evidence_waits(subnet: Subnet) -> None:
    bare = subnet.bench.submit("bare")
    subnet.commit("proven")
    snapshot = subnet.published(subnet.through_round())
    assert bare.id not in {s.submission_id for s in snapshot.standings}
    assert subnet.bench.current(bare).status.value == "QUEUED"


def test_the_api_publishes_rounds_as_they_were_signed(subnet: Subnet, tmp_path: Path) -> None:
    subnet.commit("public")
    number = subnet.through_round()
    environment = {
        "POSTGRES_URL": subnet.bench.dsn,
        "VAR_DIR": str(tmp_path / "api"),
        "HF_ENDPOINT": subnet.bench.hub.url,
        "ADMIN_KEY": ADMIN_KEY,
    }
    with running_api(environment, tmp_path / "log") as api:
        [line] = api.client.get("/rounds").json()
        assert (line["number"], line["closed"]) == (number, True)
        answer = api.client.get(f"/rounds/{number}")
        row = subnet.ledger.round(number)
        assert row is not None
        assert answer.text == row.published
        tag = {"If-None-Match": f'"{line["digest"]}"'}
        assert api.client.get(f"/rounds/{number}", headers=tag).status_code == 304
        board = api.client.get("/leaderboard").json()
        assert board["round"] == number
        assert (board["rows"][0]["win_rate"], board["rows"][0]["weight"]) == (1.0, 1.0)
        missing = api.client.get(f"/rounds/{number + 1}")
        code = missing.json()["error"]["code"]
        assert (missing.status_code, code) == (404, "ROUND_NOT_PUBLISHED")


def _with_own_weights() -> str:
    """Scores, with a weights digest that is the repository's own."""
    return """
        name = request["synthesiser"]["model_dir"]
        result["synthesiser"]["weights_digest"] = hashlib.sha256(name.encode()).hexdigest()
        answer()
    """
