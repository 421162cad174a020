"""A validator that has found an API out: first without one submission, then without the API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
import pytest
from audit_bench import NUMBER, TIMES, Evaluated, Service
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet
from http_answers import answering
from neuron_processes import run_neuron

from neurons.validator_audit_book import AuditBook
from neurons.validator_state import StateFile, ValidatorState
from scoring.competition import Repository, Rules
from scoring.contract import (
    Aggregate,
    AsrInfo,
    Interval,
    Prompt,
    Sample,
    SynthesiserInfo,
    TtsResult,
    WordErrors,
)
from utilities.chain import Chain
from utilities.model_reference import format_reference, make_reference

TEMPO = 360
NOW = TIMES.end_block + 100


@dataclass(frozen=True)
class Subnet:
    """A round is published and agrees with the chain; ``validator`` reads it."""

    devnet: RunningDevnet
    service: Service
    url: str
    home: Path
    validator: bt.Wallet

    @property
    def state_file(self) -> StateFile:
        hotkey = str(self.validator.hotkey.ss58_address)
        folder = self.home / "var" / "validator"
        return StateFile(folder, netuid=NETUID, mechid=0, hotkey=hotkey)

    @property
    def state(self) -> ValidatorState:
        return self.state_file.read()

    def found_out(self, *submissions: int, block: int = NOW - 2 * TEMPO) -> None:
        """Two audits of each of these have failed, the last one at ``block``."""
        book = AuditBook()
        for number, at in ((0, block - TEMPO), (1, block)):
            book = book.for_round(number, submissions)
            for submission in submissions:
                book = book.with_audit("failed", submission_id=submission, block=at, reason="lie")
        self.state_file.write(self.state.with_audits(book))

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """One pass of the validator."""
        fixed = ("--subtensor.chain_endpoint", self.devnet.url, "--wallet.path", str(self.home))
        return run_neuron(
            "validator",
            self.home,
            *fixed,
            "--wallet.name",
            self.validator.name,
            "--immediate",
            *flags,
            environment={"VALIDATION_API_URL": self.url, "COLUMNS": "400"},
        )


@pytest.fixture
def subnet(tmp_path: Path) -> Iterator[Subnet]:
    service = Service(new_wallet(tmp_path, "service"))
    with running_devnet(tmp_path / "devnet", "--manual", "--tempo", str(TEMPO)) as devnet:
        devnet.rule("WeightsSetRateLimit", 0)
        validator = devnet.member(tmp_path, "coldkey4", stake=1_000.0)
        with Chain(devnet.url) as chain:
            for number, score in ((1, 0.9), (2, 0.6), (3, 0.3)):
                miner = devnet.member(tmp_path / "miners", f"m{number}")
                publish(service, chain, miner, number, score)
            devnet.control("advance", blocks=NOW - chain.block())
        with answering(service.answer) as url:
            yield Subnet(devnet, service, url, tmp_path, validator)


def publish(service: Service, chain: Chain, wallet: bt.Wallet, number: int, score: float) -> None:
    """Commit a model, and publish a score of it."""
    repository = Repository(namespace="lab", name=f"m{number}", revision="ab" * 20)
    hotkey = str(wallet.hotkey.ss58_address)
    reference = make_reference(
        namespace="lab",
        name=repository.name,
        config_template="default",
        hotkey=hotkey,
        competition_id="tts",
    )
    text = format_reference(reference)
    receipt = chain.commit(NETUID, text, wallet)
    entry = service.publish(
        number,
        made_up(score, f"{number}" * 64),
        hotkey=hotkey,
        coldkey=str(wallet.coldkeypub.ss58_address),
        repository=repository,
        commitment=text,
        block=receipt.block,
    )
    entry.clips.update(dict.fromkeys(range(3), b"RIFF"))


def made_up(score: float, weights_digest: str) -> Evaluated:
    """Figures that nobody measured: no audit looks at them."""
    errors = WordErrors(substitutions=0, deletions=0, insertions=0, words=4)
    samples = tuple(
        Sample(
            prompt=Prompt(index=index, text="Good morning to you.", description="Calm."),
            outcome="scored",
            errors=errors,
            wer=0.0,
            human_likeness=score,
            score=score,
        )
        for index in range(3)
    )
    result = TtsResult(
        status="COMPLETED",
        synthesiser=SynthesiserInfo(kind="parler", name="m", weights_digest=weights_digest),
        asr=AsrInfo(
            engine="faster-whisper", model="m", version="1", digest="a" * 64, rehearsal=True
        ),
        prompts_digest="b" * 64,
        protocol_digest="c" * 64,
        aggregate=Aggregate(
            score=score,
            interval=Interval(low=score, high=score),
            wer=0.0,
            human_likeness=score,
            scored=3,
            unscored=0,
        ),
        samples=samples,
    )
    return Evaluated(result, Path("nowhere"))


def reported(subnet: Subnet) -> int:
    return subnet.service.asked.count("/event_report")


def test_an_excluded_submission_is_left_out_and_the_others_go_on(subnet: Subnet) -> None:
    subnet.found_out(1)
    done = subnet.run()
    assert done.returncode == 0, done.stderr
    assert "it failed this validator's audits" in done.stdout
    best = subnet.service.entries[2].standing.hotkey
    weights = subnet.state.weights
    assert weights is not None
    assert max(weights.by_hotkey, key=lambda hotkey: weights.by_hotkey[hotkey]) == best
    assert subnet.service.entries[1].standing.hotkey not in weights.by_hotkey


def test_an_api_that_was_found_out_is_not_followed_then_all_is_burned(subnet: Subnet) -> None:
    assert subnet.run().returncode == 0
    before = subnet.state.weights
    assert before is not None
    subnet.found_out(1, 2, 3)
    subnet.service.asked.clear()
    done = subnet.run()
    assert done.returncode == 0, done.stderr
    assert "the last weights stand" in done.stderr
    assert subnet.state.weights == before
    assert reported(subnet) == 1
    assert "/rounds" not in subnet.service.asked

    subnet.found_out(1, 2, 3, block=NOW - Rules().hold_epochs * TEMPO)
    with Chain(subnet.devnet.url) as chain:
        owner = chain.metagraph(NETUID).owner_hotkey
    # Nothing is given to whoever else is there.
    done = subnet.run()
    assert done.returncode != 0
    assert owner in done.stderr
    assert subnet.state.weights == before
    subnet.devnet.control("register", netuid=NETUID, hotkey=owner, coldkey=owner, stake=0)
    assert subnet.run().returncode == 0
    burned = subnet.state.weights
    assert burned is not None
    assert burned.by_hotkey == {owner: 1.0}

    done = subnet.run("--forget_audits")
    assert done.returncode == 0, done.stderr
    trusted = subnet.state.weights
    assert trusted is not None
    assert trusted.by_hotkey == before.by_hotkey
    assert subnet.service.number == NUMBER


def test_audits_that_cannot_be_made_change_no_weights(subnet: Subnet) -> None:
    done = subnet.run("--audit_rate", "1", "--audit_python", "/no/such/python")
    assert done.returncode == 0, done.stderr
    assert set(subnet.state.audits.verdicts.values()) == {"unable"}
    assert reported(subnet) == 3
    assert not subnet.state.audits.failed
    assert "--audit_python" in done.stderr
