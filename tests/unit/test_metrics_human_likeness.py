"""The order that human likeness must give, and its bounds."""

from __future__ import annotations

from collections.abc import Callable

import hibari
import nonspeech
import numpy as np
import pytest

from scoring.audio import Audio, UnscorableAudioError
from scoring.metrics.human_likeness import WEIGHTS, HumanLikeness
from scoring.metrics.human_reference import HumanReference, Statistic, in_reference, load_reference
from scoring.metrics.parts import TWO_SIDED

LINES = (
    "Did anybody see where the little black cat went this morning?",
    "Hello there.",
)


@pytest.fixture(scope="module")
def likeness() -> HumanLikeness:
    return HumanLikeness()


@pytest.fixture(scope="module")
def spoken() -> list[Audio]:
    voice = hibari.Hibari(threads=1)
    return [Audio(voice(line, seed=0), hibari.SAMPLE_RATE) for line in LINES]


def noisy(audio: Audio, snr_db: float) -> Audio:
    noise = np.random.default_rng(0).standard_normal(len(audio.samples), dtype=np.float32)
    level = np.std(audio.samples) * 10 ** (-snr_db / 20)
    return Audio((audio.samples + noise * level).astype(np.float32), audio.sample_rate)


def test_clean_speech_is_like_a_human_recording(
    likeness: HumanLikeness, spoken: list[Audio]
) -> None:
    assert all(likeness.measure(audio).value > 0.85 for audio in spoken)


def test_more_noise_is_less_human(likeness: HumanLikeness, spoken: list[Audio]) -> None:
    values = [likeness.measure(noisy(spoken[0], snr)).value for snr in (60, 15, 5, -5)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


@pytest.mark.parametrize("sound", nonspeech.ALL)
def test_what_nobody_says_is_at_most_a_twentieth(
    likeness: HumanLikeness, sound: Callable[[], Audio]
) -> None:
    assert likeness.measure(sound()).value <= 0.05


def test_quality_above_the_human_median_counts_no_more(spoken: list[Audio]) -> None:
    def naturalness(median: float) -> float:
        statistics = load_reference().statistics | {
            "dnsmos_p808": Statistic(q05=1.0, median=median, q95=5.0)
        }
        reference = load_reference().model_copy(update={"statistics": statistics})
        return HumanLikeness(reference).measure(spoken[0]).details["naturalness"]

    assert naturalness(2.0) == naturalness(3.0) == 1.0
    assert naturalness(5.0) < 0.9


def test_the_parts_make_up_the_value(likeness: HumanLikeness, spoken: list[Audio]) -> None:
    measure = likeness.measure(noisy(spoken[1], 5))
    product = np.prod([measure.details[part] ** weight for part, weight in WEIGHTS.items()])
    assert measure.value == pytest.approx(measure.details["gate"] * product)
    assert all(0.0 <= measure.details[part] <= 1.0 for part in WEIGHTS)
    assert all(np.isfinite(value) for value in measure.details.values())


def test_the_weights_add_up_and_no_predictor_weighs_more_than_a_fifth() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert WEIGHTS["naturalness"] <= 0.2


def test_the_same_audio_has_the_same_likeness(likeness: HumanLikeness, spoken: list[Audio]) -> None:
    assert likeness.measure(spoken[0]) == HumanLikeness().measure(spoken[0])


def test_what_cannot_be_scored_is_refused(likeness: HumanLikeness) -> None:
    with pytest.raises(UnscorableAudioError, match="empty"):
        likeness.measure(Audio(np.zeros(0, np.float32), 16_000))


# The reference


def test_the_reference_is_of_many_speakers_with_their_origin() -> None:
    reference = load_reference()
    assert sum(source.clips for source in reference.sources) >= 100
    speakers = {speaker for source in reference.sources for speaker in source.speakers}
    assert len(speakers) >= 50
    assert all(in_reference(speaker) for speaker in speakers)
    assert all(source.licence for source in reference.sources)


def test_the_reference_is_ordered() -> None:
    for measure, statistic in load_reference().statistics.items():
        assert statistic.q05 <= statistic.median < statistic.q95, measure


def test_the_reference_has_every_measure_that_a_part_compares() -> None:
    statistics = load_reference().statistics
    assert {name for names in TWO_SIDED.values() for name in names} <= statistics.keys()


def test_about_half_of_the_speakers_are_kept_for_validation() -> None:
    chosen = sum(in_reference(f"speaker-{number}") for number in range(1_000))
    assert 450 < chosen < 550


def test_the_reference_survives_its_file() -> None:
    reference = load_reference()
    assert HumanReference.model_validate_json(reference.model_dump_json()) == reference
