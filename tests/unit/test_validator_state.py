"""What a validator remembers, and what it does with a file that it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neurons.validator_state import MAX_SNAPSHOTS, StateError, StateFile, ValidatorState

HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "validator", netuid=231, mechid=0, hotkey=HOTKEY)


def test_without_a_file_nothing_is_remembered(file: StateFile) -> None:
    assert file.read() == ValidatorState()


def test_what_is_written_is_read(file: StateFile) -> None:
    state = ValidatorState().with_weights(7, {HOTKEY: 0.1, "zero": 0.0})
    state = state.with_snapshots({1: "a" * 64}).with_failure().with_failure()
    file.write(state)
    assert file.read() == state
    assert file.read().failures == 2
    assert state.weights is not None
    assert state.weights.by_hotkey == {HOTKEY: 0.1}
    assert state.with_set(9) == state.model_copy(update={"set_at": 9, "failures": 0})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b'{"version": 1, "weights": {"block": 1, "by_hotkey": {"a": 0.5}',
        b'{"version": 0, "scores": []}',
        b'{"version": 2}',
        b'{"version": 1, "weights": {"block": 1, "by_hotkey": {}}}',
        b'{"version": 1, "weights": {"block": 1, "by_hotkey": {"a": 0.0}}}',
        b'{"version": 1, "weights": {"block": 1, "by_hotkey": {"a": NaN}}}',
        b'{"version": 1, "weights": {"block": 1, "by_hotkey": {"a": 1e308, "b": 1e308}}}',
    ],
)
def test_a_file_that_cannot_be_used_is_put_aside(file: StateFile, content: bytes) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    assert file.read() == ValidatorState()
    assert not file.path.exists()
    assert file.path.with_suffix(".unusable").read_bytes() == content


def test_a_directory_that_cannot_be_used_is_an_error(file: StateFile) -> None:
    file.path.mkdir(parents=True)
    with pytest.raises(StateError, match="cannot read"):
        file.read()
    with pytest.raises(StateError, match="cannot write"):
        file.write(ValidatorState())


def test_weights_of_nothing_are_never_remembered() -> None:
    with pytest.raises(ValidationError):
        ValidatorState().with_weights(1, {HOTKEY: 0.0})


@given(
    st.dictionaries(st.integers(0, 5_000), st.sampled_from(["a" * 64, "b" * 64]), max_size=20),
    st.dictionaries(st.integers(0, 5_000), st.sampled_from(["c" * 64]), max_size=20),
)
def test_the_first_digest_of_a_round_stays(first: dict[int, str], later: dict[int, str]) -> None:
    seen = ValidatorState().with_snapshots(first).with_snapshots(later).snapshots
    assert seen == {**later, **first}


def test_the_oldest_rounds_are_forgotten() -> None:
    digests = dict.fromkeys(range(MAX_SNAPSHOTS + 3), "a" * 64)
    assert min(ValidatorState().with_snapshots(digests).snapshots) == 3
