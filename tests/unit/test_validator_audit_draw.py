"""What a validator audits of a round."""

from __future__ import annotations

from competition_rounds import FIRST, PROMPTS, Entry, snapshot
from hypothesis import given
from hypothesis import strategies as st

from neurons.validator_audit_draw import (
    Chance,
    drawn_prompts,
    drawn_submissions,
    scored_prompts,
)
from scoring.competition import RoundSnapshot, Standing

ROUND = snapshot(FIRST, [Entry(number=number) for number in range(400)])
KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)


def chance_of(key: str = "a" * 64, hotkey: str = "validator", seed: str = ROUND.seed) -> Chance:
    return Chance(key=key, hotkey=hotkey, seed=seed)


def drawn(chance: Chance, rate: float, *owed: int, of: RoundSnapshot = ROUND) -> set[int]:
    return {s.submission_id for s in drawn_submissions(of, chance, rate=rate, owed=owed)}


def test_as_many_are_drawn_as_the_rate_says() -> None:
    assert drawn(chance_of(), 0.0) == set()
    assert drawn(chance_of(), 1.0) == set(range(400))
    # Four standard deviations.
    assert 66 <= len(drawn(chance_of(), 0.25)) <= 134


def test_the_same_is_drawn_again_and_something_else_by_others_and_in_other_rounds() -> None:
    first = drawn(chance_of(), 0.25)
    assert drawn(chance_of(), 0.25) == first
    others = [chance_of(key="b" * 64), chance_of(hotkey="other"), chance_of(seed="c" * 64)]
    assert all(drawn(other, 0.25) != first for other in others)


@given(KEYS, st.sets(st.integers(0, 399)), st.floats(0.0, 0.5))
def test_what_is_owed_is_audited_whatever_is_drawn(key: str, owed: set[int], rate: float) -> None:
    chance = chance_of(key)
    assert drawn(chance, rate, *owed) == drawn(chance, rate) | owed


def test_what_has_no_scores_per_prompt_cannot_be_drawn() -> None:
    entries = [
        Entry(number=1),
        Entry(number=2, quality=None),
        Entry(number=3, per_prompt=False),
    ]
    assert drawn(chance_of(), 1.0, 2, 3, of=snapshot(FIRST, entries)) == {1}


@given(KEYS, st.integers(1, PROMPTS + 3), st.sets(st.integers(0, PROMPTS - 1)))
def test_prompts_are_drawn_among_those_with_a_score(
    key: str, count: int, unscored: set[int]
) -> None:
    standing = without(ROUND.standings[0], unscored)
    prompts = drawn_prompts(standing, chance_of(key), count=count)
    assert set(prompts) <= set(scored_prompts(standing)) == set(range(PROMPTS)) - unscored
    assert len(prompts) == min(count, PROMPTS - len(unscored))
    assert list(prompts) == sorted(set(prompts))


def test_every_prompt_is_as_likely() -> None:
    counts = [0] * PROMPTS
    for standing in ROUND.standings:
        for prompt in drawn_prompts(standing, chance_of(), count=3):
            counts[prompt] += 1
    # 120 each are expected, with a standard deviation of 9.
    assert all(83 <= count <= 157 for count in counts), counts


def without(standing: Standing, unscored: set[int]) -> Standing:
    assert standing.result is not None
    scores = [
        None if n in unscored else score for n, score in enumerate(standing.result.prompt_scores)
    ]
    result = standing.result.model_copy(update={"prompt_scores": tuple(scores)})
    return standing.model_copy(update={"result": result})
