"""The recordings that the metrics are tried on, all at 16 kHz and without silence at the ends."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hibari
import numpy as np
import onnxruntime
import soundfile
from numpy.typing import NDArray

from scoring.audio import Audio, read_audio
from scoring.metrics.human_reference import in_reference
from scoring.metrics.preparation import SAMPLE_RATE, prepare

PIECE_SECONDS = 6
SHORTEST_SECONDS = 2.0
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")


@dataclass(frozen=True)
class Clip:
    """``held_out`` is False for human speakers whose recordings are in the reference."""

    name: str
    system: str
    speaker: str
    text: str | None
    samples: NDArray[np.float32]
    held_out: bool

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / SAMPLE_RATE


def from_manifest(manifest: Path) -> list[Clip]:
    """Every recording that ``manifest`` lists."""
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    return [
        Clip(
            name=row["file"],
            system=row["system"],
            speaker=row["speaker"],
            text=row["text"],
            samples=trimmed(prepare(read_audio(manifest.parent / row["file"]))),
            held_out=row["kind"] != "human" or not in_reference(row["speaker"]),
        )
        for row in rows
    ]


def from_pocketsphinx() -> list[Clip]:
    """The reader of Debian's pocketsphinx-testdata; empty where it is not installed."""
    if not LIBRIVOX.is_dir():
        return []
    lines = (LIBRIVOX / "transcription").read_text("utf-8")
    texts = {name: text for text, name in re.findall(r"<s> (.+?) +</s> \((.+)\)", lines)}
    return [
        Clip(
            name=f"librivox/{path.stem}",
            system="human",
            speaker="librivox-austen",
            text=texts[path.stem],
            samples=trimmed(prepare(read_audio(path))),
            held_out=True,
        )
        for path in sorted(LIBRIVOX.glob("*.wav"))
    ]


def pieces(clips: Sequence[Clip], count: int) -> list[Clip]:
    """At most ``count`` pieces of 2 to 6 s: the first of each clip, then the second, and so on."""
    size = PIECE_SECONDS * SAMPLE_RATE
    cut: list[Clip] = []
    for start in range(0, max(len(c.samples) for c in clips), size):
        for clip in clips:
            part = clip.samples[start : start + size]
            if len(part) >= SHORTEST_SECONDS * SAMPLE_RATE:
                whole = start == 0 and len(clip.samples) <= size
                text = clip.text if whole else None
                name = f"{clip.name}@{start // SAMPLE_RATE}"
                cut.append(replace(clip, name=name, text=text, samples=part))
    return cut[:count]


def speak_hibari(texts: Sequence[str]) -> list[Clip]:
    """hibari's one voice."""
    voice = hibari.Hibari(threads=1)
    return [
        _spoken("hibari", i, text, voice(text, seed=0), hibari.SAMPLE_RATE)
        for i, text in enumerate(texts)
    ]


def speak_espeak(texts: Sequence[str]) -> list[Clip]:
    """espeak-ng in four voices in turn. Raises FileNotFoundError where it is not installed."""
    voices = ("en-us", "en-gb", "en-us+f3", "en-us+m3")
    clips = []
    for i, text in enumerate(texts):
        command = ["espeak-ng", "-v", voices[i % len(voices)], "--stdout", text]
        wav = subprocess.run(command, check=True, capture_output=True).stdout
        samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
        clips.append(_spoken("espeak-ng", i, text, samples, rate))
    return clips


def speak_piper(texts: Sequence[str], directory: Path) -> list[Clip]:
    """The Piper voice whose .onnx and .onnx.json lie in ``directory``; espeak-ng spells."""
    (model,) = directory.glob("*.onnx")
    config = json.loads(model.with_name(model.name + ".json").read_text("utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)
    inference = config["inference"]
    scales = [inference["noise_scale"], inference["length_scale"], inference["noise_w"]]
    clips = []
    for i, text in enumerate(texts):
        ids = _piper_ids(text, config)
        inputs = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
        }
        samples = session.run(None, inputs)[0].ravel()
        clips.append(_spoken("piper joe", i, text, samples, config["audio"]["sample_rate"]))
    return clips


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without what is 40 dB below the loudest 20 ms at either end, but for 100 ms."""
    frame, margin = SAMPLE_RATE // 50, SAMPLE_RATE // 10
    whole = samples[: len(samples) // frame * frame].reshape(-1, frame).astype(np.float64)
    power = (whole**2).mean(axis=1)
    loud = np.flatnonzero(power > 1e-4 * power.max())
    return samples[max(0, loud[0] * frame - margin) : (loud[-1] + 1) * frame + margin]


def _spoken(system: str, i: int, text: str, samples: NDArray[np.float32], rate: int) -> Clip:
    audio = Audio(np.asarray(samples, dtype=np.float32), rate)
    return Clip(f"{system}/{i}", system, system, text, trimmed(prepare(audio)), held_out=True)


def _piper_ids(text: str, config: dict[str, dict[str, list[int]]]) -> list[int]:
    command = ["espeak-ng", "-q", "--ipa", "-v", "en-us", text]
    spelled = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    table = config["phoneme_id_map"]
    ids = [*table["^"], *table["_"]]
    for symbol in " ".join(spelled.split()) + text.strip()[-1]:
        if symbol in table:
            ids += [*table[symbol], *table["_"]]
    return [*ids, *table["$"]]
