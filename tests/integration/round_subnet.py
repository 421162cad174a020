"""A chain, miners on it, and a service that scores them in rounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bittensor as bt
from devnet_helpers import NETUID, RunningDevnet
from service_helpers import new_submission
from worker_bench import SCORES, Bench

from scoring.competition import RoundSnapshot, Rules, SignedRound
from utilities.chain import Chain
from utilities.chain_rounds import check_round, sign_round
from utilities.hub import Hub
from utilities.model_reference import format_reference, make_reference
from voice_validation_api.copies_ledger import CopyLedger
from voice_validation_api.records import Submission
from voice_validation_api.rounds.keeper import Keeper
from voice_validation_api.rounds.ledger import RoundLedger
from voice_validation_api.rounds.records import RoundState

# As short as a round can sensibly be, so that its blocks are soon made.
RULES = Rules(round_length=60, replacement_grace=60)


@dataclass
class Subnet:
    """A chain whose clock stands still, and a service beside it."""

    devnet: RunningDevnet
    chain: Chain
    bench: Bench
    wallets: Path
    signer: bt.Wallet
    rules: Rules = RULES

    @property
    def ledger(self) -> RoundLedger:
        return RoundLedger(self.bench.database, "tts")

    @property
    def keeper(self) -> Keeper:
        """A keeper that knows nothing but what is kept, as after every start."""
        return Keeper(
            competition_id="tts",
            netuid=NETUID,
            ledger=self.ledger,
            copies=CopyLedger(self.bench.database, "tts"),
            chain=self.chain,
            hub=Hub(endpoint=self.bench.hub.url),
            rules=self.rules,
            sign=partial(sign_round, wallet=self.signer),
        )

    def keep(self) -> None:
        """Do everything that is due."""
        while self.keeper.step():
            pass

    def advance_to(self, block: int) -> None:
        missing = block - self.chain.block()
        assert missing >= 0, f"block {block} is past"
        if missing:
            self.devnet.control("advance", blocks=missing)

    def next_round(self) -> int:
        """Go to the start of the next round; its number."""
        number = self.chain.block() // self.rules.round_length + 1
        self.advance_to(number * self.rules.round_length)
        return number

    def through_round(self, *, program: str = SCORES) -> int:
        """A whole round with a worker; its number."""
        number = self.next_round()
        self.keep()
        self.advance_to(number * self.rules.round_length + self.rules.seed_delay)
        self.keep()
        self.bench.work(program)
        self.keep()
        return number

    def commit(self, name: str, wallet: bt.Wallet | None = None) -> Submission:
        """A miner, by default a new one, commits a model, and it is admitted."""
        wallet = wallet or self.devnet.member(self.wallets, name)
        revision = self.bench.publish(name)
        text = format_reference(
            make_reference(
                namespace="alice",
                name=name,
                config_template="default",
                hotkey=wallet.hotkey.ss58_address,
                competition_id="tts",
                revision=revision,
                weights_digest="d" * 64,
            )
        )
        receipt = self.chain.commit(NETUID, text, wallet)
        new = new_submission(
            receipt.block,
            name=name,
            revision=revision,
            hotkey=wallet.hotkey.ss58_address,
            commitment=text,
            block_hash=receipt.block_hash,
            committed_digest="d" * 64,
        )
        submission = self.bench.store.submit(new)
        self.keep()
        return submission

    def published(self, number: int) -> RoundSnapshot:
        """A published round, its signature checked."""
        row = self.ledger.round(number)
        assert row is not None, f"round {number} is not published"
        signed = SignedRound.model_validate_json(row.published)
        snapshot = check_round(signed, signer=self.signer.hotkey.ss58_address)
        assert snapshot.digest == row.digest
        return snapshot

    def state(self) -> RoundState | None:
        running = self.ledger.running()
        return None if running is None else running.state
