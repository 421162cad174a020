"""Published rounds as a validator takes them: signed, unchanging, linked; anything else is refused.

The server says what an honest service never would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bittensor as bt
import pytest
from devnet_helpers import new_wallet
from http_answers import Answer, answering

from neurons.service_api import ServiceAnswerError, ServiceApi
from neurons.validator_scores import NoScoresError, RoundChangedError, Scores, ScoreSource
from scoring.competition import (
    PreviousRound,
    RoundSnapshot,
    RoundsUnusableError,
    Rules,
    weights,
)
from scoring.competition.rounds import round_seed, round_times
from utilities.chain import Metagraph, SubnetRules
from utilities.chain_rounds import RoundForgedError, sign_round
from utilities.chain_view import View
from utilities.round_signers import parse_signers

RULES = Rules(round_length=100, window=3)
VIEW = View(Metagraph(231, 10_000, (), SubnetRules(360, 5_000, 100, 0), "owner"), {})
NOT_FOUND = Answer(404, b'{"error": {"code": "NOT_FOUND", "message": "", "remedy": ""}}')


@dataclass
class Publisher:
    """A service that has published rounds."""

    wallet: bt.Wallet
    rounds: list[RoundSnapshot] = field(default_factory=list)
    paths: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(self, number: int) -> RoundSnapshot:
        """Publish a round without submissions, after those before."""
        previous = self.rounds[-1] if self.rounds else None
        times, block_hash = round_times(number, RULES), "0x" + "5" * 64
        snapshot = RoundSnapshot(
            competition_id="tts",
            number=number,
            start_block=times.start_block,
            seed_block=times.seed_block,
            seed_block_hash=block_hash,
            seed=round_seed("tts", number, block_hash),
            closed_block=times.seed_block + 50,
            protocol_digest="1" * 64,
            prompts_digest="2" * 64,
            previous=previous and PreviousRound(number=previous.number, digest=previous.digest),
            standings=(),
        )
        self.rounds.append(snapshot)
        self.paths[f"/rounds/{number}"] = sign_round(snapshot, self.wallet).model_dump(mode="json")
        self.list(self.rounds)
        return snapshot

    def list(self, rounds: Sequence[RoundSnapshot]) -> None:
        """What ``GET /rounds`` says; there is always one more that is open."""
        entries = [{"number": r.number, "digest": r.digest, "closed": True} for r in rounds]
        entries.append({"number": 99, "digest": None, "closed": False})
        self.paths["/rounds"] = entries

    def answer(self, path: str) -> Answer:
        self.asked.append(path)
        if path not in self.paths:
            return NOT_FOUND
        return Answer(200, json.dumps(self.paths[path]).encode())


@pytest.fixture
def service(tmp_path: Path) -> Publisher:
    """It says itself which hotkey is its own."""
    wallet = new_wallet(tmp_path, "service")
    return Publisher(wallet, paths={"/hc": {"hotkey": wallet.hotkey.ss58_address}})


@contextmanager
def source_of(service: Publisher, signers: str | None = None) -> Iterator[ScoreSource]:
    trusted = None if signers is None else parse_signers(signers)
    with answering(service.answer) as url, closing(ServiceApi(url)) as api:
        yield ScoreSource(api, "tts", signers=trusted, rules=RULES)


def latest(source: ScoreSource, seen: dict[int, str] | None = None) -> Scores:
    return source.latest(VIEW, lambda _: None, seen or {})


def test_the_newest_rounds_are_fetched_once(service: Publisher) -> None:
    for number in range(1, 6):
        service.publish(number)
    with source_of(service) as source:
        scores = latest(source)
        assert [snapshot.number for snapshot in scores.snapshots] == [3, 4, 5]
        assert scores.digests == {n: service.rounds[n - 1].digest for n in (3, 4, 5)}
        weighed = weights(scores.snapshots, chain=(), rules=scores.rules, block=VIEW.block)
        assert [used.number for used in weighed.rounds] == [3, 4, 5]
        service.asked.clear()
        service.publish(6)
        assert [snapshot.number for snapshot in latest(source).snapshots] == [4, 5, 6]
        assert [path for path in service.asked if path != "/hc"] == ["/rounds", "/rounds/6"]


def test_a_round_that_changed_is_refused(service: Publisher) -> None:
    first = service.publish(1)
    with source_of(service) as source, pytest.raises(RoundChangedError, match=r"rounds \[1\]"):
        latest(source, {1: "0" * 64})
    service.list([first])
    with source_of(service) as source:
        assert latest(source, {1: first.digest}).digests == {1: first.digest}


@pytest.mark.parametrize("listed", [None, []], ids=["no such endpoint", "no rounds"])
def test_rounds_that_are_gone_are_not_replaced_by_the_leaderboard(
    service: Publisher, listed: list[RoundSnapshot] | None
) -> None:
    service.paths["/leaderboard"] = {"protocol": None, "rows": []}
    if listed is not None:
        service.list(listed)
    with source_of(service) as source:
        with pytest.raises(RoundChangedError, match="is gone"):
            latest(source, {1: "0" * 64})
        with pytest.raises(NoScoresError):
            latest(source)


def test_a_round_of_somebody_else_is_refused(service: Publisher, tmp_path: Path) -> None:
    service.publish(1)
    other = new_wallet(tmp_path, "other").hotkey.ss58_address
    with source_of(service, signers=other) as source, pytest.raises(RoundForgedError, match="inst"):
        latest(source)
    service.paths["/hc"] = {"hotkey": None}
    with source_of(service) as source, pytest.raises(RoundForgedError, match="names no hotkey"):
        latest(source)


@pytest.mark.parametrize("configured", [True, False], ids=["configured", "as the API says"])
def test_a_hand_over_loses_no_round(
    service: Publisher, tmp_path: Path, *, configured: bool
) -> None:
    old, new = service.wallet.hotkey.ss58_address, new_wallet(tmp_path, "new")
    signers = f"{old},{new.hotkey.ss58_address}@3"
    service.publish(1)
    service.publish(2)
    service.wallet = new
    service.publish(3)
    service.paths["/hc"] = {"hotkey": old, "round_signers": None if configured else signers}
    with source_of(service, signers if configured else None) as source:
        assert [snapshot.number for snapshot in latest(source).snapshots] == [1, 2, 3]


def test_a_key_that_was_handed_over_signs_nothing_more(service: Publisher, tmp_path: Path) -> None:
    old, new = service.wallet.hotkey.ss58_address, new_wallet(tmp_path, "new")
    signers = f"{old},{new.hotkey.ss58_address}@3"
    for number in (1, 2, 3):
        service.publish(number)
    with (
        source_of(service, signers) as source,
        pytest.raises(RoundForgedError, match="round 3 cannot be trusted"),
    ):
        latest(source)


def test_a_key_does_not_sign_rounds_before_its_own(service: Publisher, tmp_path: Path) -> None:
    old = new_wallet(tmp_path, "old").hotkey.ss58_address
    service.publish(2)
    signers = f"{old},{service.wallet.hotkey.ss58_address}@3"
    with (
        source_of(service, signers) as source,
        pytest.raises(RoundForgedError, match="round 2 cannot be trusted"),
    ):
        latest(source)


def test_a_leaked_key_cannot_forge_the_past_that_later_rounds_name(
    service: Publisher, tmp_path: Path
) -> None:
    """Even for a validator that has seen none of it: what the new key signed names the true one."""
    leaked, new = service.wallet, new_wallet(tmp_path, "new")
    signers = f"{leaked.hotkey.ss58_address},{new.hotkey.ss58_address}@3"
    true = service.publish(2)
    service.wallet = new
    service.publish(3)
    forged = true.model_copy(update={"closed_block": true.closed_block + 1})
    service.paths["/rounds/2"] = sign_round(forged, leaked).model_dump(mode="json")
    service.list([forged, service.rounds[-1]])
    with source_of(service, signers) as source:
        scores = latest(source)
        with pytest.raises(RoundsUnusableError, match="round 2 has digest"):
            weights(scores.snapshots, chain=(), rules=scores.rules, block=VIEW.block)


def test_another_round_than_was_asked_for_is_refused(service: Publisher) -> None:
    service.publish(1)
    service.publish(2)
    service.paths["/rounds/2"] = service.paths["/rounds/1"]
    with source_of(service) as source, pytest.raises(RoundForgedError, match="instead of 2"):
        latest(source)


@pytest.mark.parametrize("said", [{}, [], {"snapshot": {}}, "round", None])
def test_what_is_no_round_is_an_answer_gone_wrong(service: Publisher, said: object) -> None:
    service.publish(1)
    service.paths["/rounds/1"] = said
    with source_of(service) as source, pytest.raises(ServiceAnswerError):
        latest(source)
