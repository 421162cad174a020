"""What it costs to judge one second of audio on one CPU core, by part; JSON last.

Speech recognition is measured beside, and not part of the aim of 0.15 s.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Before any library starts its threads.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

sys.path[0] = str(Path(__file__).parents[1])  # not this folder: its queue.py would hide Python's

import hibari  # noqa: E402

from scoring.asr.load import load_recogniser  # noqa: E402
from scoring.audio import Audio  # noqa: E402
from scoring.contract import AsrSpec  # noqa: E402
from scoring.metrics.dnsmos import Dnsmos  # noqa: E402
from scoring.metrics.human_likeness import HumanLikeness  # noqa: E402
from scoring.metrics.parts import measure_speech  # noqa: E402
from scoring.metrics.preparation import prepare  # noqa: E402
from scoring.metrics.speech_frames import analyse  # noqa: E402
from scoring.tts.prompts import stream  # noqa: E402

AIM = 0.15
PROMPTS = 20


def main() -> int:
    """Judge the first prompts of a stream as hibari speaks them."""
    voice = hibari.Hibari(threads=1)
    spoken = [
        Audio(voice(p.text, seed=0), hibari.SAMPLE_RATE) for p in stream("scoring-cost", PROMPTS)
    ]
    prepared = [prepare(audio) for audio in spoken]
    framed = [analyse(samples) for samples in prepared]
    seconds = sum(audio.seconds for audio in spoken)
    likeness, dnsmos = HumanLikeness(), Dnsmos()
    recogniser = load_recogniser(AsrSpec(), device="cpu")
    likeness.measure(spoken[0])

    def cost(work: Callable[[], object]) -> float:
        start = time.process_time()
        work()
        return round((time.process_time() - start) / seconds, 4)

    report = {
        "audio_seconds": round(seconds, 1),
        "prompts": PROMPTS,
        "all_metrics": cost(lambda: [likeness.measure(a) for a in spoken]),
        "parts": {
            "preparation": cost(lambda: [prepare(a) for a in spoken]),
            "frames, pitch and speech detection": cost(lambda: [analyse(s) for s in prepared]),
            "measures": cost(lambda: [measure_speech(f) for f in framed]),
            "dnsmos": cost(lambda: [dnsmos.opinion(s) for s in prepared]),
        },
        "recognition (packaged tiny.en)": cost(lambda: [recogniser.transcribe(a) for a in spoken]),
        "aim": AIM,
    }
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
