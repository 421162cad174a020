"""Ways to spoil a recording of a person, each in five strengths.

Every alteration keeps the speaker, the microphone and the room: what a metric says about the pair
cannot come from the corpus. Praat's overlap-add changes pitch and tempo, which is independent of
the pitch tracker that is being tested; ``resynthesised`` passes a recording through it unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import parselmouth
from numpy.typing import NDArray
from parselmouth.praat import call
from scipy.signal import butter, sosfiltfilt

RATE = 16_000
Samples = NDArray[np.float32]
Alter = Callable[[Samples, float, np.random.Generator], Samples]


@dataclass(frozen=True)
class Alteration:
    """``apply`` spoils 16 kHz samples; ``strengths`` from faint to heavy, of which ``full`` is
    what the pairs are made with. ``caught_by`` names the score that should notice: the voice
    alone, or the total, which also reads the words."""

    apply: Alter
    strengths: tuple[float, ...]
    full: float
    caught_by: Literal["likeness", "total"]


def pitch_flattened(x: Samples, strength: float, _rng: np.random.Generator) -> Samples:
    """Draw the pitch towards its median: 1 leaves a monotone."""
    return _with_pitch(x, lambda _t, hz, mid: mid * (hz / mid) ** (1.0 - strength))


def pitch_random(x: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Draw the pitch towards one that is random every 200 ms, spread by four semitones as people's
    is: 1 leaves nothing of the melody."""
    offsets = rng.normal(0.0, 4.0, len(x) // (RATE // 5) + 2)
    return _with_pitch(
        x,
        lambda t, hz, mid: (
            mid * (hz / mid) ** (1.0 - strength) * 2.0 ** (strength * offsets[int(t * 5)] / 12.0)
        ),
    )


def tempo(x: Samples, factor: float, _rng: np.random.Generator) -> Samples:
    """Play at ``factor`` times the speed with the pitch kept."""
    manipulation = call(_sound(x), "To Manipulation", 0.01, 75, 500)
    duration = call("Create DurationTier", "tempo", 0.0, len(x) / RATE)
    call(duration, "Add point", 0.0, 1.0 / factor)
    call([manipulation, duration], "Replace duration tier")
    return _samples(call(manipulation, "Get resynthesis (overlap-add)"))


def resynthesised(x: Samples, _strength: float, _rng: np.random.Generator) -> Samples:
    """Through the same overlap-add, nothing changed: what the method itself costs."""
    return _samples(call(call(_sound(x), "To Manipulation", 0.01, 75, 500), _RESYNTHESIS))


def clipped(x: Samples, strength: float, _rng: np.random.Generator) -> Samples:
    """Clip at the level that this share of the samples exceeds."""
    limit = np.quantile(np.abs(x), 1.0 - strength)
    return np.clip(x, -limit, limit)


def noisy(x: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """White noise ``snr_db`` below the recording."""
    level = np.sqrt(np.mean(x.astype(np.float64) ** 2)) * 10.0 ** (-snr_db / 20.0)
    return np.asarray(x + rng.standard_normal(len(x)) * level, dtype=np.float32)


def band_limited(x: Samples, hertz: float, _rng: np.random.Generator) -> Samples:
    """Nothing above ``hertz``."""
    return np.asarray(sosfiltfilt(butter(10, hertz, fs=RATE, output="sos"), x), dtype=np.float32)


def looped(x: Samples, strength: float, _rng: np.random.Generator) -> Samples:
    """The first second of speech takes the place of this share of the rest."""
    start = _first_sound(x)
    phrase = x[start : start + RATE]
    rest = x[start + RATE :]
    kept = int(len(rest) * (1.0 - strength))
    return np.concatenate([x[: start + RATE], rest[:kept], np.resize(phrase, len(rest) - kept)])


def reversed_in_time(x: Samples, strength: float, _rng: np.random.Generator) -> Samples:
    """The last part, this share of the whole, backwards."""
    cut = int(len(x) * (1.0 - strength))
    return np.concatenate([x[:cut], x[cut:][::-1]])


def shuffled(x: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Pieces of 200 ms in random order, this share of them."""
    piece = RATE // 5
    pieces = [x[i : i + piece] for i in range(0, len(x), piece)]
    moved = rng.permutation(len(pieces))[: max(2, round(strength * len(pieces)))]
    order = np.arange(len(pieces))
    order[np.sort(moved)] = np.roll(moved, 1)
    return np.concatenate([pieces[i] for i in order])


def truncated(x: Samples, strength: float, _rng: np.random.Generator) -> Samples:
    """Without the last part, this share of the whole."""
    return x[: int(len(x) * (1.0 - strength))]


def gibberish_after(x: Samples, seconds: float, rng: np.random.Generator) -> Samples:
    """The whole text, then ``seconds`` of its own 80 ms pieces in random order."""
    piece = RATE * 8 // 100
    pieces = [x[i : i + piece] for i in range(0, len(x) - piece, piece)]
    chosen = rng.choice(len(pieces), size=round(seconds * RATE / piece))
    return np.concatenate([x, *(pieces[i] for i in chosen)])


ALTERATIONS: Mapping[str, Alteration] = {
    "pitch flattened": Alteration(pitch_flattened, (0.3, 0.5, 0.7, 0.85, 1.0), 1.0, "likeness"),
    "pitch random": Alteration(pitch_random, (0.2, 0.4, 0.6, 0.8, 1.0), 1.0, "likeness"),
    "speed x0.6": Alteration(tempo, (0.9, 0.8, 0.7, 0.6, 0.5), 0.6, "likeness"),
    "speed x1.6": Alteration(tempo, (1.15, 1.3, 1.45, 1.6, 1.8), 1.6, "likeness"),
    "clipped": Alteration(clipped, (0.02, 0.05, 0.1, 0.2, 0.4), 0.2, "likeness"),
    "noise 5 dB": Alteration(noisy, (25.0, 20.0, 15.0, 10.0, 5.0), 5.0, "likeness"),
    "band 4 kHz": Alteration(band_limited, (6_000, 5_000, 4_000, 3_400, 2_500), 4_000, "likeness"),
    "looped phrase": Alteration(looped, (0.2, 0.4, 0.6, 0.8, 1.0), 1.0, "total"),
    "reversed": Alteration(reversed_in_time, (0.1, 0.2, 0.35, 0.5, 0.7), 1.0, "total"),
    "shuffled 200 ms": Alteration(shuffled, (0.1, 0.2, 0.3, 0.45, 0.6), 1.0, "total"),
    "truncated": Alteration(truncated, (0.1, 0.2, 0.3, 0.5, 0.7), 0.5, "total"),
    "gibberish after": Alteration(gibberish_after, (0.5, 1.0, 2.0, 3.0, 4.0), 3.0, "total"),
}

_RESYNTHESIS = "Get resynthesis (overlap-add)"


def _with_pitch(x: Samples, change: Callable[[float, float, float], float]) -> Samples:
    manipulation = call(_sound(x), "To Manipulation", 0.01, 75, 500)
    tier = call(manipulation, "Extract pitch tier")
    count = call(tier, "Get number of points")
    if count == 0:
        return x
    times = [call(tier, "Get time from index", i + 1) for i in range(count)]
    hertz = [call(tier, "Get value at index", i + 1) for i in range(count)]
    middle = float(np.median(hertz))
    changed = call("Create PitchTier", "changed", 0.0, len(x) / RATE)
    for time, value in zip(times, hertz, strict=True):
        call(changed, "Add point", time, float(np.clip(change(time, value, middle), 60.0, 600.0)))
    call([manipulation, changed], "Replace pitch tier")
    return _samples(call(manipulation, _RESYNTHESIS))


def _sound(x: Samples) -> parselmouth.Sound:
    return parselmouth.Sound(x.astype(np.float64), RATE)


def _samples(sound: parselmouth.Sound) -> Samples:
    return np.asarray(sound.values[0], dtype=np.float32)


def _first_sound(x: Samples) -> int:
    """Where the recording first reaches a tenth of its peak."""
    return int(np.argmax(np.abs(x) > 0.1 * np.abs(x).max()))
