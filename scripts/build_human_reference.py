"""Rebuild the statistics of human recordings that the scores are measured against.

Example, with a manifest beside the recordings:

    {"file": "1034/121119.flac", "speaker": "libritts-1034", "source": "LibriTTS-R",
     "licence": "CC BY 4.0"}

    python scripts/build_human_reference.py recordings/manifest.jsonl

Lines whose "kind" is given and is not "human" are left out, and so is half of the speakers, chosen
by a hash of their name, on whom the metrics are validated. Only statistics are written.

Exit codes: 0 written; 2 the manifest or a recording cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError
from rich.progress import track

from scoring.audio import read_audio
from scoring.errors import UnscorableAudioError
from scoring.metrics.dnsmos import Dnsmos
from scoring.metrics.human_reference import (
    REFERENCE_FILE,
    HumanReference,
    Source,
    Statistic,
    in_reference,
)
from scoring.metrics.preparation import prepare
from scoring.metrics.speech_gate import speech_share

SELECTION = "human recordings of the speakers that human_reference.in_reference picks"


class Recording(BaseModel):
    """One line of the manifest; other fields are ignored."""

    file: str
    speaker: str
    source: str
    licence: str
    kind: str = "human"


def main(argv: Sequence[str] | None = None) -> int:
    """Build the reference and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, default=REFERENCE_FILE)
    args = parser.parse_args(argv)
    try:
        reference = build(args.manifest)
    except (OSError, ValueError, UnscorableAudioError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    args.out.write_text(reference.model_dump_json(indent=1) + "\n", "utf-8")
    print(f"wrote {args.out}: {sum(s.clips for s in reference.sources)} clips")
    return 0


def build(manifest: Path) -> HumanReference:
    """Measure the reference recordings that ``manifest`` lists, relative to its directory."""
    recordings = _read(manifest)
    chosen = [r for r in recordings if r.kind == "human" and in_reference(r.speaker)]

    dnsmos = Dnsmos()
    seconds: dict[str, float] = defaultdict(float)
    parts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for recording in track(chosen, "measuring"):
        audio = read_audio(manifest.parent / recording.file)
        samples = prepare(audio)
        opinion = dnsmos.opinion(samples)
        seconds[recording.source] += audio.seconds
        parts["speech_share"][recording.speaker].append(speech_share(samples))
        parts["dnsmos_p808"][recording.speaker].append(opinion.p808)
        parts["dnsmos_overall"][recording.speaker].append(opinion.overall)
    return HumanReference(
        sources=tuple(_source(name, chosen, total) for name, total in sorted(seconds.items())),
        selection=SELECTION,
        statistics={part: _statistic(by_speaker) for part, by_speaker in sorted(parts.items())},
    )


def _read(manifest: Path) -> list[Recording]:
    lines = manifest.read_text("utf-8").splitlines()
    return [_recording(line, f"{manifest}:{number}") for number, line in enumerate(lines, start=1)]


def _recording(line: str, place: str) -> Recording:
    try:
        return Recording.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(f"{place}: {error}") from error


def _source(name: str, recordings: Sequence[Recording], seconds: float) -> Source:
    own = [r for r in recordings if r.source == name]
    return Source(
        name=name,
        licence="; ".join(sorted({r.licence for r in own})),
        speakers=tuple(sorted({r.speaker for r in own})),
        clips=len(own),
        seconds=round(seconds, 1),
    )


def _statistic(by_speaker: dict[str, list[float]]) -> Statistic:
    q05, median, q95 = np.quantile([np.median(v) for v in by_speaker.values()], [0.05, 0.5, 0.95])
    return Statistic(
        q05=round(float(q05), 4), median=round(float(median), 4), q95=round(float(q95), 4)
    )


if __name__ == "__main__":
    sys.exit(main())
