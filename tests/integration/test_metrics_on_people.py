"""Human likeness on recordings of people who are not in the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scoring.audio import Audio, read_audio
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.human_reference import in_reference, load_reference

SPEECH = Path(__file__).parents[3] / "shared" / "data" / "speech"
needs_recordings = pytest.mark.skipif(
    not (SPEECH / "manifest.jsonl").is_file(),
    reason="the recordings of people are not part of the project",
)


def people(count: int) -> list[Audio]:
    rows = [json.loads(line) for line in (SPEECH / "manifest.jsonl").read_text().splitlines()]
    held_out = [r for r in rows if r["kind"] == "human" and not in_reference(r["speaker"])]
    used = {s for source in load_reference().sources for s in source.speakers}
    assert not used & {r["speaker"] for r in held_out}
    files = {r["speaker"]: r["file"] for r in held_out if r["seconds"] > 3}
    return [read_audio(SPEECH / file) for file in sorted(files.values())[:count]]


@needs_recordings
def test_people_are_like_people_and_spoiled_recordings_are_less_so() -> None:
    likeness, rng = HumanLikeness(), np.random.default_rng(0)
    before, noisy, clipped = [], [], []
    for audio in people(12):
        x = audio.samples[: 6 * audio.sample_rate]
        noise = rng.standard_normal(len(x)) * np.std(x) * 10 ** (-5 / 20)
        limit = np.quantile(np.abs(x), 0.8)
        for versions, samples in (
            (before, x),
            (noisy, x + noise),
            (clipped, np.clip(x, -limit, limit)),
        ):
            spoken = Audio(samples.astype(np.float32), audio.sample_rate)
            versions.append(likeness.measure(spoken).value)

    assert np.median(before) > 0.85
    assert np.mean(np.array(before) > np.array(noisy)) >= 0.9
    assert np.mean(np.array(before) > np.array(clipped)) >= 0.9
