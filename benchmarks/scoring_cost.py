"""What it costs to judge one second of audio, by part, and what overlapping and batching save.

Costs are seconds of one core for a second of audio; the aim of 0.15 s is for all metrics together.
Ratios compare medians of turns that the sides take in one run: by the clock for overlapping, whose
baseline is the same pipeline with one stage after another, and by the processor's time for
batches, whose baseline is one clip at a time. Prints JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

# Before any library starts its threads.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

sys.path[0] = str(Path(__file__).parents[1])  # not this folder: its queue.py would hide Python's

import hibari  # noqa: E402

from scoring.asr.faster_whisper import PACKAGED, FasterWhisper  # noqa: E402
from scoring.audio import Audio  # noqa: E402
from scoring.contract import ParlerModel, ReferenceVoice, SeededPrompts, TtsRequest  # noqa: E402
from scoring.metrics.dnsmos import Dnsmos  # noqa: E402
from scoring.metrics.human_likeness import HumanLikeness  # noqa: E402
from scoring.metrics.parts import measure_speech  # noqa: E402
from scoring.metrics.preparation import prepare  # noqa: E402
from scoring.metrics.speech_frames import analyse  # noqa: E402
from scoring.tts.judge import Judge  # noqa: E402
from scoring.tts.pace import Pace  # noqa: E402
from scoring.tts.pipeline import load_synthesiser, score_prompts  # noqa: E402
from scoring.tts.prompts import resolve, stream  # noqa: E402
from scoring.tts.timings import Timings  # noqa: E402
from scripts.make_miniature import make_miniature  # noqa: E402

AIM = 0.15
PROMPTS = 20
TURNS = 5
FEW = 6
"""Prompts in each turn of a comparison."""

ALONE = Pace(spoken=0, blocks=0)
CORES = 2


def main() -> int:
    """Judge the first prompts of a stream as hibari speaks them, and as a miniature does."""
    voice = hibari.Hibari(threads=1)
    spoken = [
        Audio(voice(p.text, seed=0), hibari.SAMPLE_RATE) for p in stream("scoring-cost", PROMPTS)
    ]
    with tempfile.TemporaryDirectory() as place:
        make_miniature(Path(place) / "model", seed=1)
        report = {
            **_metric_costs(spoken),
            "recognition (packaged tiny.en)": _batches(spoken[:FEW]),
            "overlapping": {
                "a packaged voice": _overlapping(ReferenceVoice(name="hibari"), Path(place)),
                "a miniature": _overlapping(
                    ParlerModel(model_dir=Path(place) / "model"), Path(place)
                ),
            },
        }
    print(json.dumps(report, indent=1))
    return 0


def _metric_costs(spoken: list[Audio]) -> dict[str, object]:
    prepared = [prepare(audio) for audio in spoken]
    framed = [analyse(samples) for samples in prepared]
    seconds = sum(audio.seconds for audio in spoken)
    likeness, dnsmos = HumanLikeness(), Dnsmos()
    likeness.measure(spoken[0])

    def cost(work: Callable[[], object]) -> float:
        return round(_spent(work, time.process_time) / seconds, 4)

    return {
        "audio_seconds": round(seconds, 1),
        "prompts": PROMPTS,
        "all_metrics": cost(lambda: [likeness.measure(a) for a in spoken]),
        "aim": AIM,
        "parts": {
            "preparation": cost(lambda: [prepare(a) for a in spoken]),
            "frames, pitch and speech detection": cost(lambda: [analyse(s) for s in prepared]),
            "measures": cost(lambda: [measure_speech(f) for f in framed]),
            "dnsmos": cost(lambda: [dnsmos.opinion(s) for s in prepared]),
        },
    }


def _batches(spoken: list[Audio]) -> dict[str, float]:
    one = FasterWhisper.load(PACKAGED, device="cpu")
    together = replace(one, batch=len(spoken))
    seconds = sum(audio.seconds for audio in spoken)
    sides = {
        "one by one": lambda: one.transcribe_all(spoken),
        f"in a batch of {len(spoken)}": lambda: together.transcribe_all(spoken),
    }
    costs = _in_turns(sides, time.process_time)
    alone, batched = costs.values()
    return {name: round(cost / seconds, 4) for name, cost in costs.items()} | {
        "one by one / in a batch": round(alone / batched, 3)
    }


def _overlapping(speaker: ReferenceVoice | ParlerModel, place: Path) -> dict[str, object]:
    """Seconds by the clock for the same prompts at two paces, and their busy seconds by stage."""
    request = TtsRequest(
        synthesiser=speaker,
        prompts=SeededPrompts(seed="scoring-cost", count=FEW),
        max_seconds=6.0,
    )
    prompts = resolve(request.prompts)
    synthesiser, judge = load_synthesiser(request), Judge.load(request)
    paces = {"one after another": ALONE, "overlapped": Pace.choose(request, cores=CORES)}
    last: dict[str, Mapping[str, float]] = {}

    def run(name: str) -> None:
        result = score_prompts(
            request,
            prompts,
            synthesiser,
            judge,
            place / name,
            timings=Timings(),
            progress=lambda _done, _all: None,
            pace=paces[name],
        )
        last[name] = result.timings

    sides = {name: lambda name=name: run(name) for name in paces}
    for side in sides.values():
        side()  # once, for what is compiled or loaded when it is first used
    alone, overlapped = (seconds := _in_turns(sides, time.perf_counter)).values()
    return {
        "seconds": {name: round(median, 3) for name, median in seconds.items()},
        "one after another / overlapped": round(alone / overlapped, 3),
        "stages of the last turn": last,
    }


def _in_turns(
    sides: Mapping[str, Callable[[], object]], clock: Callable[[], float]
) -> dict[str, float]:
    """The median of what each side takes when all of them take turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, work in sides.items():
            taken[name].append(_spent(work, clock))
    return {name: statistics.median(values) for name, values in taken.items()}


def _spent(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    sys.exit(main())
