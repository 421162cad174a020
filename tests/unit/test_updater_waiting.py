"""The wait for a healthy pass: only time in which the chain answers counts against a version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from updater_checkout import Version
from updater_state import State
from updater_waiting import Failure, Waiting

SECONDS = 100.0


def waited(answers: Sequence[bool], *, step: float = 1.0) -> tuple[Failure | None, float]:
    """How a wait ends whose chain answers like this, one look after the other, and when."""
    now = 0.0
    looks = iter(answers)
    said = True

    def chain_answers() -> bool:
        nonlocal said
        said = next(looks, said)
        return said

    waiting = Waiting(SECONDS, lambda: now, chain_answers)
    while now < 10 * SECONDS:
        now += step
        if (failure := waiting.look()) is not None:
            return failure, now
    return None, now


def test_a_version_has_its_time_where_the_chain_answers() -> None:
    failure, at = waited([True])
    assert failure == Failure("no healthy pass within 100 s")
    assert at == SECONDS + 1


def test_a_chain_that_is_down_all_the_time_blames_nobody() -> None:
    failure, at = waited([False])
    assert failure is not None
    assert failure.is_the_chains
    assert "the chain did not answer for 101 s" in failure.reason
    assert at == SECONDS + 1


def test_an_outage_in_between_is_added_to_the_time() -> None:
    failure, at = waited([True, False, False, True])
    assert failure == Failure("no healthy pass within 100 s")
    # A tenth of the time lies between two questions.
    assert at == SECONDS + 1 + 20


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([0.5, 1.0, 3.0]))
def test_whatever_the_chain_does_the_wait_ends_and_blames_only_after_a_full_time(
    answers: list[bool], step: float
) -> None:
    failure, at = waited(answers, step=step)
    assert failure is not None
    assert SECONDS < at <= 2 * SECONDS + 2 * step
    down = failure.is_the_chains
    assert down == ("did not answer" in failure.reason)
    if all(answers):
        assert not down
    if not any(answers):
        assert down


def test_an_unproven_version_is_no_bad_one_and_closes_its_trial() -> None:
    version = Version("a" * 40, "main")
    state = State().with_seen([version], now=0.0).with_unproven(version.commit)
    state = state.with_unproven(version.commit)
    assert (state.unproven, state.bad, state.trial) == ((version.commit,), {}, None)
    assert state.next_version([version], now=0.0, delay=timedelta(0)) == version
