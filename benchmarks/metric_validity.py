"""Would people agree with the scores? Measures each part and the total; JSON last.

Human recordings are spoiled in known ways and compared with themselves, systems with recordings of
the same texts. Weights and ranges were set on the speakers of the reference; every figure here is
of the others. Without a corpus it runs on what is installed, and says so; --piper names a folder
with a Piper voice, espeak-ng and pocketsphinx-testdata are Debian packages.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose queue.py would hide Python's

from benchmarks.validity import clips as corpus  # noqa: E402
from benchmarks.validity import deliveries, experiments, plots  # noqa: E402
from benchmarks.validity.clips import Clip  # noqa: E402
from scoring.metrics.human_reference import in_reference  # noqa: E402
from scoring.tts.prompts import stream  # noqa: E402

DEFAULT_SPEECH = ROOT.parent / "shared" / "data" / "speech" / "manifest.jsonl"
AIM_PAIRED = 0.95
AIM_NO_SPEECH = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run every experiment that the recordings at hand allow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, default=DEFAULT_SPEECH, help="a manifest.jsonl")
    parser.add_argument("--piper", type=Path, help="folder with an .onnx and its .onnx.json")
    parser.add_argument("--quick", action="store_true", help="a tenth of the clips: a smoke test")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "metric_validity")
    args = parser.parse_args(argv)

    started = time.perf_counter()
    pairs, texts, doses, lines = (8, 3, 2, 2) if args.quick else (110, 24, 10, 10)
    notes: list[str] = []
    recordings = _recordings(args.speech, notes)
    humans = [c for c in recordings if c.system == "human"]
    held_out = [c for c in humans if c.held_out]
    cut = corpus.pieces(held_out, pairs)
    spoken = _with_words(humans, held_out, texts)

    before = experiments.originals(cut, args.jobs, transcribe=False)
    heard = experiments.originals(spoken, args.jobs, transcribe=True)
    said = [c.text or v.transcript for c, v in zip(spoken, heard, strict=True)]
    median = float(np.median([v.likeness for v in before]))
    paired = experiments.voice_pairs(cut, before, args.jobs)
    paired |= experiments.text_pairs(spoken, said, heard, args.jobs)
    dose = experiments.dose_response(spoken[:doses], said[:doses], heard[:doses], args.jobs)
    report: dict[str, Any] = {
        "humans": {
            "clips": len(cut),
            "speakers": len({c.speaker for c in cut}),
            "likeness_median": round(median, 4),
            "likeness_mean": round(float(np.mean([v.likeness for v in before])), 4),
            "texts": {
                "clips": len(spoken),
                "with_transcript": sum(c.text is not None for c in spoken),
                "wer": round(_mean_wer(spoken, heard), 4),
            },
        },
        "paired": paired,
        "dose": dose,
        "no_speech": experiments.no_speech(median, args.jobs),
        "systems": _systems(recordings, humans, lines, args, notes),
        "resolution": experiments.resolution(cut, before, args.jobs),
        "across_prompts": {
            "follows_description": deliveries.direction(
                cut[: 8 * lines], before[: 8 * lines], args.jobs
            ),
            "voices": deliveries.voices(cut, before, before[0]),
            "distinct": deliveries.copies(cut[0], lines, args.jobs),
        },
        "notes": notes,
        "seconds": round(time.perf_counter() - started),
    }
    report["missed"] = _missed(report)
    args.out.mkdir(parents=True, exist_ok=True)
    plots.draw(report, args.out)
    print(json.dumps(report, indent=1))
    return 0


def _recordings(manifest: Path, notes: list[str]) -> list[Clip]:
    found = corpus.from_pocketsphinx()
    if not found:
        notes.append("pocketsphinx-testdata is not installed")
    if manifest.is_file():
        return corpus.from_manifest(manifest) + found
    notes.append(f"there is no manifest at {manifest}: hibari stands in for the human recordings")
    voice = corpus.speak_hibari([p.text for p in stream("metric-validity", 40)])
    return found + [_as_human(c) for c in voice]


def _as_human(clip: Clip) -> Clip:
    return Clip(clip.name, "human", clip.speaker, clip.text, clip.samples, held_out=True)


def _with_words(humans: Sequence[Clip], held_out: Sequence[Clip], count: int) -> list[Clip]:
    """Clips short enough to transcribe whole, those with a transcript first, then one a speaker."""
    known = [c for c in humans if c.text is not None]
    others: dict[str, list[Clip]] = defaultdict(list)
    for clip in corpus.pieces(held_out, 10 * count):
        if clip.text is None:
            others[clip.speaker].append(clip)
    return (known + [own[0] for own in others.values()])[:count]


def _systems(
    recordings: Sequence[Clip],
    humans: Sequence[Clip],
    lines: int,
    args: argparse.Namespace,
    notes: list[str],
) -> dict[str, Any]:
    systems: dict[str, list[Clip]] = defaultdict(list)
    for clip in recordings:
        if clip.system != "human":
            systems[clip.system].append(clip)
    texts = sorted({c.text for c in humans if c.text is not None})
    texts += [p.text for p in stream("metric-validity", lines)]
    systems["hibari"] = corpus.speak_hibari(texts)
    if shutil.which("espeak-ng"):
        systems["espeak-ng"] = corpus.speak_espeak(texts)
    else:
        notes.append("espeak-ng is not installed")
    if args.piper and shutil.which("espeak-ng"):
        systems["piper joe"] = corpus.speak_piper(texts, args.piper)
    else:
        notes.append("no Piper voice was named, or espeak-ng is not installed")
    known = [c for c in humans if c.text is not None]
    people = known + corpus.pieces([c for c in humans if c.held_out and c.text is None], 10 * lines)
    verdicts = experiments.originals(people, args.jobs, transcribe=False)
    notes.append(
        "paired humans in the reference: "
        + str(sum(c.text is not None and in_reference(c.speaker) for c in humans))
        + f" of {sum(c.text is not None for c in humans)}"
    )
    return experiments.systems(people, verdicts, systems, args.jobs)


def _mean_wer(clips: Sequence[Clip], verdicts: Sequence[Any]) -> float:
    known = [v.wer(c.text) for c, v in zip(clips, verdicts, strict=True) if c.text is not None]
    return float(np.mean(known)) if known else 0.0


def _missed(report: dict[str, Any]) -> list[str]:
    missed = [
        f"paired: {name} {figure['value']}"
        for name, figure in report["paired"].items()
        if not name.startswith("control") and figure["value"] < AIM_PAIRED
    ]
    missed += [
        f"dose: {name} {figure['means']}"
        for name, figure in report["dose"].items()
        if not figure["falls_with_every_step"]
    ]
    missed += [
        f"no speech: {name} {share}"
        for name, share in report["no_speech"].items()
        if share > AIM_NO_SPEECH
    ]
    for name, figure in report["systems"].items():
        if figure.get("significantly_above_human"):
            missed.append(f"systems: {name} scores above the people who say the same")
        if name == "espeak-ng" and figure["unpaired_auc"]["value"] < AIM_PAIRED:
            missed.append(f"systems: {name} {figure['unpaired_auc']['value']}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
