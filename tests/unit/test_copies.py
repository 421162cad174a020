"""Near copies among made-up sketches."""

from __future__ import annotations

import numpy as np
import pytest
from made_sketches import drawn, model, noise, sketch

from scoring.contract import SKETCH_VALUES
from voice_validation_api.copies import Pair, Shelf, likeness, near_copy


def is_copy(later: Pair, earlier: Pair, *others: Pair) -> bool:
    evidence = near_copy(later, earlier, Shelf.of(others))
    return evidence is not None and evidence.confirmed


ORIGINAL = drawn(1, 0.05)


@pytest.mark.parametrize("length", [0.015, 0.05, 0.2])
@pytest.mark.parametrize("percent", [0.0, 0.3, 1.0])
def test_the_same_with_noise_is_a_copy(length: float, percent: float) -> None:
    original = drawn(1, length)

    assert is_copy(model(original + noise(2, percent)), model(original))


def test_what_was_copied_may_be_the_noisy_one() -> None:
    assert is_copy(model(ORIGINAL), model(ORIGINAL + noise(2, 1.0)))


def test_nine_tenths_of_it_are_a_copy() -> None:
    assert is_copy(model(0.9 * ORIGINAL), model(ORIGINAL))


@pytest.mark.parametrize("ratio", [0.3, 1.0, 10.0])
def test_a_tenth_of_a_known_model_hides_nothing(ratio: float) -> None:
    third = drawn(3, 0.05 * ratio)

    assert is_copy(model(0.9 * ORIGINAL + 0.1 * third), model(ORIGINAL), model(third))


def test_a_tenth_of_an_unknown_model_far_from_the_base_hides_a_copy() -> None:
    blend = 0.9 * ORIGINAL + 0.1 * drawn(3, 0.5)

    assert not is_copy(model(blend), model(ORIGINAL))


@pytest.mark.parametrize("common", [0.0, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("length", [0.005, 0.05, 0.2])
def test_a_common_direction_makes_no_copy(common: float, length: float) -> None:
    shared, mine, yours = drawn(1, length), drawn(2, length), drawn(3, length)
    rest = (1 - common**2) ** 0.5
    one, other = common * shared + rest * mine, common * shared + rest * yours

    assert not is_copy(model(one), model(other), model(shared))


def test_a_third_model_excuses_no_honest_one() -> None:
    honest = drawn(4, 0.05)
    others = [model(drawn(seed, 0.05)) for seed in range(10, 60)]

    assert not any(is_copy(model(honest), other, *others) for other in others)


def test_like_weights_that_act_otherwise_are_seen_and_hold_nobody() -> None:
    evidence = near_copy(model(ORIGINAL, behaviour=drawn(9, 0.05)), model(ORIGINAL), Shelf.of([]))

    assert evidence is not None
    assert not evidence.confirmed


def test_the_base_itself_belongs_to_nobody() -> None:
    nothing = np.zeros(SKETCH_VALUES)

    assert not is_copy(model(nothing), model(nothing))
    assert not is_copy(model(noise(1, 1.0)), model(nothing))
    assert not is_copy(model(noise(1, 1.0)), model(noise(2, 1.0)))


def test_differences_from_other_bases_are_not_compared() -> None:
    assert near_copy(model(ORIGINAL), model(ORIGINAL, base="b"), Shelf.of([])) is None


def test_candidates_hold_every_copy_and_few_others() -> None:
    others = [model(drawn(seed, 0.05)) for seed in range(100, 400)]
    originals = [model(ORIGINAL), model(0.9 * ORIGINAL), model(ORIGINAL + noise(5, 1.0))]

    found = Shelf.of([*others, *originals]).candidates(model(ORIGINAL + noise(6, 1.0))[0])

    assert found == [300, 301, 302]


def test_noise_is_told_in_percent() -> None:
    found = likeness(sketch(ORIGINAL + noise(1, 0.7)), sketch(ORIGINAL))

    assert found.noise == pytest.approx(0.7, rel=0.2)
    assert found.share == pytest.approx(1.0, abs=0.02)


def test_the_evidence_fits_what_is_published() -> None:
    evidence = near_copy(model(ORIGINAL), model(ORIGINAL), Shelf.of([]))

    assert evidence is not None
    assert 1 <= len(str(evidence)) <= 1_000
    assert evidence.as_json()["weights"]
