"""Rebuild the statistics of human recordings that the scores are measured against.

With a manifest beside the recordings:

    {"file": "1034/121119.flac", "speaker": "libritts-1034", "source": "LibriTTS-R",
     "licence": "CC BY 4.0"}

    python scripts/build_human_reference.py recordings/manifest.jsonl

With a folder that holds one folder for each speaker, as LibriTTS-R does:

    python scripts/build_human_reference.py LibriTTS_R/train-clean-360 --licence "CC BY 4.0"

Lines whose "kind" is given and is not "human" are left out, and so is half of the speakers, chosen
by a hash of their name, on whom the metrics are validated. Only statistics are written.

Exit codes: 0 written; 2 the manifest, the folder or a recording cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, ValidationError
from rich.progress import track

from scoring.audio import Audio, read_audio
from scoring.errors import UnscorableAudioError
from scoring.metrics.dnsmos import Dnsmos
from scoring.metrics.human_reference import (
    REFERENCE_FILE,
    REFERENCE_SECONDS,
    HumanReference,
    Source,
    Statistic,
    in_reference,
)
from scoring.metrics.parts import measure_speech
from scoring.metrics.preparation import prepare
from scoring.metrics.speech_frames import analyse

SELECTION = "human recordings of the speakers that human_reference.in_reference picks"
SHORTEST_SECONDS = 2.0
SUFFIXES = frozenset({".flac", ".wav", ".ogg", ".opus", ".mp3"})

Measures = Mapping[str, float]


class Recording(BaseModel):
    """One line of the manifest; other fields are ignored."""

    path: Path = Field(alias="file")
    speaker: str
    source: str
    licence: str
    kind: str = "human"


def main(argv: Sequence[str] | None = None) -> int:
    """Build the reference and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="a manifest, or a folder of speakers")
    parser.add_argument("--licence", default="not stated", help="of the recordings in a folder")
    parser.add_argument("--out", type=Path, default=REFERENCE_FILE)
    args = parser.parse_args(argv)
    try:
        reference = build(find_recordings(args.recordings, licence=args.licence))
    except (OSError, ValueError, UnscorableAudioError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    args.out.write_text(reference.model_dump_json(indent=1) + "\n", "utf-8")
    print(f"wrote {args.out}: {sum(s.clips for s in reference.sources)} clips")
    return 0


def find_recordings(place: Path, *, licence: str) -> list[Recording]:
    """The lines of a manifest, or the recordings in a folder, which all have ``licence``.

    Raises ValueError with the place of a line that cannot be read.
    """
    if place.is_dir():
        return _in_folder(place, licence)
    lines = place.read_text("utf-8").splitlines()
    return [_in_manifest(line, place, number) for number, line in enumerate(lines, start=1)]


def build(recordings: Sequence[Recording]) -> HumanReference:
    """Measure those of ``recordings`` whose speakers belong into the reference.

    Raises ValueError where there is none.
    """
    chosen = [r for r in recordings if r.kind == "human" and in_reference(r.speaker)]
    if not chosen:
        raise ValueError("no recording of a speaker who belongs into the reference")
    dnsmos = Dnsmos()
    seconds: dict[str, float] = defaultdict(float)
    by_speaker: dict[str, list[Measures]] = defaultdict(list)
    for recording in track(chosen, "measuring"):
        audio = read_audio(recording.path)
        seconds[recording.source] += audio.seconds
        by_speaker[recording.speaker] += [_measure(piece, dnsmos) for piece in _pieces(audio)]
    return HumanReference(
        sources=tuple(_source(name, chosen, total) for name, total in sorted(seconds.items())),
        selection=SELECTION,
        statistics=_statistics(by_speaker),
    )


def _in_manifest(line: str, manifest: Path, number: int) -> Recording:
    try:
        recording = Recording.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(f"{manifest}:{number}: {error}") from error
    return recording.model_copy(update={"path": manifest.parent / recording.path})


def _in_folder(folder: Path, licence: str) -> list[Recording]:
    return [
        Recording(
            file=path,
            speaker=f"{folder.name}-{path.relative_to(folder).parts[0]}",
            source=folder.name,
            licence=licence,
        )
        for path in sorted(folder.glob("*/**/*"))
        if path.suffix.lower() in SUFFIXES
    ]


def _pieces(audio: Audio) -> list[Audio]:
    """Pieces of at most REFERENCE_SECONDS, cut at quiet places: a cut word has no natural end."""
    longest, frame = int(REFERENCE_SECONDS * audio.sample_rate), audio.sample_rate // 10
    pieces: list[Audio] = []
    rest = audio.samples
    while len(rest) > longest:
        half = longest // 2
        late = rest[half : half + (longest - half) // frame * frame].astype(np.float64)
        cut = half + int((late.reshape(-1, frame) ** 2).sum(axis=1).argmin()) * frame + frame // 2
        pieces.append(Audio(rest[:cut], audio.sample_rate))
        rest = rest[cut:]
    last = Audio(rest, audio.sample_rate)
    # What is left over says little, unless it is all there is.
    return [*pieces, last] if last.seconds >= SHORTEST_SECONDS or not pieces else pieces


def _measure(piece: Audio, dnsmos: Dnsmos) -> Measures:
    samples = prepare(piece)
    return {"dnsmos_p808": dnsmos.opinion(samples), **measure_speech(analyse(samples))}


def _source(name: str, recordings: Sequence[Recording], seconds: float) -> Source:
    own = [r for r in recordings if r.source == name]
    return Source(
        name=name,
        licence="; ".join(sorted({r.licence for r in own})),
        speakers=tuple(sorted({r.speaker for r in own})),
        clips=len(own),
        seconds=round(seconds, 1),
    )


def _statistics(by_speaker: Mapping[str, Sequence[Measures]]) -> dict[str, Statistic]:
    names = {name for pieces in by_speaker.values() for piece in pieces for name in piece}
    return {name: _statistic(name, by_speaker) for name in sorted(names)}


def _statistic(name: str, by_speaker: Mapping[str, Sequence[Measures]]) -> Statistic:
    values: list[float] = []
    weights: list[float] = []
    for pieces in by_speaker.values():
        own = [piece[name] for piece in pieces if name in piece]
        values += own
        weights += [1.0 / len(own)] * len(own)
    q05, median, q95 = np.quantile(
        values, [0.05, 0.5, 0.95], weights=weights, method="inverted_cdf"
    )
    return Statistic(
        q05=round(float(q05), 4), median=round(float(median), 4), q95=round(float(q95), 4)
    )


if __name__ == "__main__":
    sys.exit(main())
