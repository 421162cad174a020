"""How many prompts a model may fail on."""

from __future__ import annotations

import pytest

from scoring.contract import FailureCode, Prompt, Sample
from scoring.errors import ScoringError
from scoring.tts.judge import unscored
from scoring.tts.pipeline import refuse_too_many_failures


def samples(failed: int, count: int) -> list[Sample]:
    prompts = [Prompt(index=n, text="a line", description="a voice") for n in range(count)]
    return [
        unscored(prompt, f"reason {prompt.index}")
        if prompt.index < failed
        else Sample(prompt=prompt, outcome="scored")
        for prompt in prompts
    ]


@pytest.mark.parametrize(("failed", "count"), [(0, 1), (1, 2), (1, 8), (1, 10), (2, 20), (3, 30)])
def test_one_prompt_or_up_to_a_tenth_may_fail(failed: int, count: int) -> None:
    refuse_too_many_failures(samples(failed, count))


@pytest.mark.parametrize(("failed", "count"), [(1, 1), (2, 2), (2, 19), (3, 20), (101, 1_000)])
def test_more_fail_the_model_with_the_count_and_the_first_reason(failed: int, count: int) -> None:
    with pytest.raises(ScoringError) as refused:
        refuse_too_many_failures(samples(failed, count))

    assert refused.value.code == FailureCode.TOO_MANY_FAILED_PROMPTS
    assert f"{failed} of {count} prompts" in refused.value.message
    assert "reason 0" in refused.value.message
