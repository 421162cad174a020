"""A round whose evaluations were really made, as a service publishes it: signed, with its clips."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bittensor as bt
from http_answers import Answer

from scoring.competition import (
    ChainEvidence,
    Repository,
    RoundResult,
    RoundSnapshot,
    Rules,
    Standing,
)
from scoring.competition.rounds import round_seed, round_times
from scoring.contract import ParlerModel, ReferenceVoice, SeededPrompts, TtsRequest, TtsResult
from scoring.tts import pipeline
from utilities.chain_rounds import sign_round

NUMBER = 2
TIMES = round_times(NUMBER, Rules())
BLOCK_HASH = "0x" + "5" * 64
SEED = round_seed("tts", NUMBER, BLOCK_HASH)
COUNT = 3
MAX_SECONDS = 2.0
NOT_FOUND = Answer(404, b'{"error": {"code": "NOT_FOUND", "message": "gone", "remedy": ""}}')


@dataclass(frozen=True)
class Evaluated:
    """One evaluation and its clips."""

    result: TtsResult
    audio: Path


def evaluate(synthesiser: ParlerModel | ReferenceVoice, out: Path) -> Evaluated:
    """Carried out on the prompts of the round."""
    out.mkdir()
    request = TtsRequest(
        synthesiser=synthesiser,
        prompts=SeededPrompts(seed=SEED, count=COUNT),
        max_seconds=MAX_SECONDS,
    )
    result = pipeline.evaluate(request, out, progress=lambda *_: None)
    return Evaluated(result, out / "audio")


def shown_samples(result: TtsResult) -> list[dict[str, Any]]:
    """The samples as ``GET /submissions/ID`` shows them."""
    samples = []
    for sample in result.samples:
        shown = sample.model_dump(mode="json", exclude={"prompt", "second_transcript"})
        index = sample.prompt.index
        samples.append({**shown, "prompt_index": index, "text": sample.prompt.text})
    return samples


def round_result(result: TtsResult) -> RoundResult:
    """The result as a round publishes it."""
    aggregate = result.aggregate
    assert aggregate is not None
    return RoundResult(
        score=aggregate.score,
        interval=aggregate.interval,
        wer=aggregate.wer,
        human_likeness=aggregate.human_likeness,
        prompt_scores=tuple(sample.score for sample in result.samples),
    )


@dataclass
class Entry:
    """What a service publishes of one submission; a test may change everything."""

    standing: Standing
    samples: list[dict[str, Any]]
    clips: dict[int, bytes]


@dataclass
class Service:
    """A service that publishes a round; ``asked`` are the paths that were asked for.

    ``answers`` says something else for a path.
    """

    wallet: bt.Wallet
    entries: dict[int, Entry] = field(default_factory=dict)
    protocol_digest: str = ""
    prompts_digest: str = ""
    number: int = NUMBER
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def publish(
        self,
        submission_id: int,
        evaluated: Evaluated,
        *,
        hotkey: str,
        coldkey: str = "miner",
        repository: Repository | None = None,
        commitment: str = "committed",
        block: int = 1,
    ) -> Entry:
        """Add a submission to the round."""
        result = evaluated.result
        assert result.protocol_digest is not None
        assert result.prompts_digest is not None
        assert result.synthesiser is not None
        self.protocol_digest, self.prompts_digest = result.protocol_digest, result.prompts_digest
        standing = Standing(
            submission_id=submission_id,
            hotkey=hotkey,
            coldkey=coldkey,
            repository=repository or Repository(namespace="lab", name="x", revision="ab" * 20),
            evidence=ChainEvidence(block=block, block_hash=BLOCK_HASH, commitment=commitment),
            pinned_block=block,
            committed_digest=None,
            weights_digest=result.synthesiser.weights_digest,
            result=round_result(result),
        )
        clips = {
            sample.prompt.index: (evaluated.audio.parent / sample.audio).read_bytes()
            for sample in result.samples
            if sample.audio is not None
        }
        entry = Entry(standing, deepcopy(shown_samples(result)), clips)
        self.entries[submission_id] = entry
        return entry

    @property
    def snapshot(self) -> RoundSnapshot:
        """The round."""
        times = round_times(self.number, Rules())
        return RoundSnapshot(
            competition_id="tts",
            number=self.number,
            start_block=times.start_block,
            seed_block=times.seed_block,
            seed_block_hash=BLOCK_HASH,
            seed=round_seed("tts", self.number, BLOCK_HASH),
            closed_block=times.seed_block + 50,
            protocol_digest=self.protocol_digest,
            prompts_digest=self.prompts_digest,
            previous=None,
            standings=tuple(entry.standing for entry in self.entries.values()),
        )

    def answer(self, path: str) -> Answer:
        """What the service answers to a request."""
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        kind, *which = path.strip("/").split("/")
        if kind == "submissions":
            return self._submission(*which)
        said = {
            "hc": lambda: {"hotkey": self.wallet.hotkey.ss58_address},
            "rounds": lambda: self._round(*which),
            "telemetry_report": dict,
            "event_report": dict,
        }
        return _json(said[kind]()) if kind in said else NOT_FOUND

    def _round(self, number: str | None = None) -> Any:
        snapshot = self.snapshot
        if number is None:
            return [{"number": self.number, "digest": snapshot.digest, "closed": True}]
        return sign_round(snapshot, self.wallet).model_dump(mode="json")

    def _submission(self, number: str, *clip: str) -> Answer:
        entry = self.entries[int(number)]
        if clip:
            return Answer(200, entry.clips[int(clip[-1])])
        return _json({"prompts_digest": self.prompts_digest, "samples": entry.samples})


def doctored(evaluated: Evaluated, change: Callable[[dict[str, Any]], None], at: Path) -> Evaluated:
    """The evaluation with a change of its JSON, beside the same clips."""
    content = evaluated.result.model_dump(mode="json")
    change(content)
    at.mkdir()
    shutil.copytree(evaluated.audio, at / "audio")
    return Evaluated(TtsResult.model_validate(content), at / "audio")


def _json(content: Any) -> Answer:
    return Answer(200, json.dumps(content).encode())
