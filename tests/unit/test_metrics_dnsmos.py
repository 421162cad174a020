"""DNSMOS without the package that brings it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import hibari
import nonspeech
import numpy as np
import pytest

from scoring.audio import Audio, UnscorableAudioError
from scoring.metrics.dnsmos import WINDOW, Dnsmos, log_mel, mel_filters
from scoring.metrics.preparation import prepare


@pytest.fixture(scope="module")
def dnsmos() -> Dnsmos:
    return Dnsmos()


def speech() -> Audio:
    voice = hibari.Hibari(threads=1)
    line = "I never said she stole my money, and you know it."
    return Audio(voice(line, seed=0), hibari.SAMPLE_RATE)


@pytest.mark.parametrize(
    ("sound", "p808"),
    [
        (speech, 4.0191),
        (nonspeech.white_noise, 2.1170),
        (nonspeech.warbling_buzz, 2.3772),
        (nonspeech.chords, 2.5504),
    ],
)
def test_one_window_scores_as_in_speechmos(
    dnsmos: Dnsmos, sound: Callable[[], Audio], p808: float
) -> None:
    """Golden figures: speechmos 0.0.1.1 with librosa 0.11.0 on the same prepared 9.01 s."""
    measure = dnsmos.measure(sound())
    assert measure.value == pytest.approx(p808, abs=2e-3)
    assert measure.details == {"dnsmos_p808": measure.value}


def test_all_of_long_audio_is_heard(dnsmos: Dnsmos) -> None:
    """The last second lies beyond the first window and counts all the same."""
    clean = np.resize(prepare(speech()), WINDOW + 16_000)
    noisy = clean.copy()
    noise = np.random.default_rng(0).standard_normal(16_000, dtype=np.float32)
    noisy[-16_000:] += 0.05 * noise
    assert dnsmos.opinion(noisy) < dnsmos.opinion(clean) - 0.1


def test_short_audio_is_repeated_to_fill_a_window(dnsmos: Dnsmos) -> None:
    prepared = prepare(speech())
    assert dnsmos.opinion(prepared) == dnsmos.opinion(np.resize(prepared, WINDOW))


def test_the_features_have_the_networks_shape_and_range() -> None:
    features = log_mel(np.random.default_rng(0).standard_normal(WINDOW - 160, dtype=np.float32))
    assert (features.shape, features.dtype) == ((900, 120), np.float32)
    assert (features.min(), features.max()) == (pytest.approx(-1, abs=1.5), pytest.approx(1))


def test_the_mel_filters_are_those_of_librosa() -> None:
    librosa_filters = pytest.importorskip("librosa.filters", reason="librosa is not installed")
    assert mel_filters() == pytest.approx(
        librosa_filters.mel(sr=16_000, n_fft=321, n_mels=120), abs=1e-6
    )


def test_what_cannot_be_scored_is_refused(dnsmos: Dnsmos) -> None:
    with pytest.raises(UnscorableAudioError, match="NaN"):
        dnsmos.measure(Audio(np.full(16_000, np.nan, np.float32), 16_000))


def test_neither_speechmos_nor_librosa_nor_torch_is_imported() -> None:
    code = (
        "import sys, numpy as np; from scoring.metrics.dnsmos import Dnsmos;"
        "Dnsmos().opinion(np.ones(16000, np.float32));"
        "print(sorted({'speechmos', 'librosa', 'numba', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
