"""Measure how often a recogniser mishears people, and add the figure to the floors that ship.

    {"file": "1034/121119.flac", "text": "He could not say.", "speaker": "libritts-1034",
     "source": "LibriTTS-R", "licence": "CC BY 4.0"}

    python scripts/measure_human_floor.py recordings/manifest.jsonl
    python scripts/measure_human_floor.py LibriTTS_R.jsonl --asr large-v3-turbo --device cuda

Lines without a text, and lines whose "kind" is given and is not "human", are left out. Recordings
are heard as an evaluation hears speech, resampled and with faint noise. Only counts are written.

Exit codes: 0 written; 2 the manifest or a recording cannot be used; 3 the recogniser cannot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, ValidationError
from rich.progress import track

from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.audio import check, read_audio
from scoring.contract import AsrSpec, CtcSpec, WerInterval, WordErrors
from scoring.entrypoint import EXIT_CODES
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.metrics.wer import corpus_wer, word_errors
from scoring.tts.human_floor import FLOORS_FILE, FloorSource, HumanFloors, MeasuredFloor

RESAMPLES = 2_000


class Recording(BaseModel):
    """One line of the manifest; other fields are ignored."""

    path: Path = Field(alias="file")
    text: str | None
    speaker: str
    source: str
    licence: str
    kind: str = "human"


@dataclass(frozen=True)
class Heard:
    """One recording and how it was misheard."""

    recording: Recording
    errors: WordErrors


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments name and return the exit code."""
    args = _parse(argv)
    try:
        recordings = [r for manifest in args.manifests for r in find_recordings(manifest)]
        recogniser = load_recogniser(_spec(args), device=args.device)
        floor = measure(recordings, recogniser)
        known = (
            HumanFloors.model_validate_json(args.out.read_bytes()) if args.out.exists() else None
        )
        args.out.write_text(with_floor(known, floor).model_dump_json(indent=1) + "\n", "utf-8")
    except (OSError, ValueError, UnscorableAudioError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ScoringError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return EXIT_CODES[error.code.fault]
    interval = f"{floor.interval.low:.3f}-{floor.interval.high:.3f}"
    print(f"{floor.model}: WER {floor.wer:.4f} ({interval}) on people, written to {args.out}")
    return 0


def find_recordings(manifest: Path) -> list[Recording]:
    """The human recordings with a text that ``manifest`` lists.

    Raises ValueError with the place of a line that cannot be read.
    """
    recordings = []
    for number, line in enumerate(manifest.read_text("utf-8").splitlines(), start=1):
        try:
            recording = Recording.model_validate_json(line)
        except ValidationError as error:
            raise ValueError(f"{manifest}:{number}: {error}") from error
        if recording.kind == "human" and recording.text is not None:
            path = manifest.parent / recording.path
            recordings.append(recording.model_copy(update={"path": path}))
    return recordings


def measure(recordings: Sequence[Recording], recogniser: Recogniser) -> MeasuredFloor:
    """The floor of ``recogniser`` on ``recordings``.

    Raises ValueError where there is none, and UnscorableAudioError.
    """
    if not recordings:
        raise ValueError("no human recording with a text")
    heard = [
        Heard(recording, _errors(recording, recogniser, seed))
        for seed, recording in enumerate(track(recordings, "listening"))
    ]
    info = recogniser.info
    sources = sorted({h.recording.source for h in heard})
    return MeasuredFloor(
        engine=info.engine,
        model=info.model,
        version=info.version,
        digest=info.digest,
        wer=round(corpus_wer(h.errors for h in heard), 4),
        interval=_interval([h.errors for h in heard]),
        sources=tuple(_source(name, heard) for name in sources),
    )


def with_floor(known: HumanFloors | None, floor: MeasuredFloor) -> HumanFloors:
    """``known`` with ``floor`` in place of an older one of the same recogniser."""
    others = [] if known is None else [f for f in known.floors if f.digest != floor.digest]
    return HumanFloors(floors=tuple(sorted([*others, floor], key=lambda f: (f.model, f.digest))))


def _errors(recording: Recording, recogniser: Recogniser, seed: int) -> WordErrors:
    audio = read_audio(recording.path)
    check(audio)
    return word_errors(recording.text or "", recogniser.transcribe(perturb(audio, seed)))


def _interval(errors: Sequence[WordErrors]) -> WerInterval:
    counts = np.array([(e.edits, e.words) for e in errors], dtype=np.float64)
    draws = np.random.default_rng(0).integers(0, len(counts), size=(RESAMPLES, len(counts)))
    edits, words = counts[draws].sum(axis=1).T
    low, high = np.quantile(edits / np.maximum(words, 1.0), [0.025, 0.975])
    return WerInterval(low=round(float(low), 4), high=round(float(high), 4))


def _source(name: str, heard: Sequence[Heard]) -> FloorSource:
    own = [h for h in heard if h.recording.source == name]
    return FloorSource(
        name=name,
        licence="; ".join(sorted({h.recording.licence for h in own})),
        speakers=len({h.recording.speaker for h in own}),
        clips=len(own),
        words=sum(h.errors.words for h in own),
        edits=sum(h.errors.edits for h in own),
    )


def _spec(args: argparse.Namespace) -> AsrSpec | CtcSpec:
    if args.asr_engine == "ctc":
        return CtcSpec(model=args.asr)
    return AsrSpec(engine=args.asr_engine, model=args.asr)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifests", type=Path, nargs="+", help="JSON Lines, as shown above")
    parser.add_argument("--asr", default="packaged", help="packaged, a Whisper size or a directory")
    parser.add_argument(
        "--asr_engine",
        default="faster-whisper",
        choices=("faster-whisper", "openai-whisper", "ctc"),
        help="faster-whisper (default), openai-whisper or ctc",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--out", type=Path, default=FLOORS_FILE, help="the file of floors")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
