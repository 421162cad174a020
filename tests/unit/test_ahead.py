"""Computing one item ahead of its use."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scoring.tts.ahead import one_ahead


def test_items_come_whole_and_in_order() -> None:
    assert list(one_ahead(iter(range(50)))) == list(range(50))
    assert list(one_ahead(iter(()))) == []


def test_the_next_item_is_computed_while_one_is_used() -> None:
    second_began = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second_began.set()
        yield 2

    for item in one_ahead(items()):
        # Asked for nothing more than the first, the second is in the making.
        assert second_began.wait(10)
        assert item in (1, 2)


def test_an_error_is_raised_where_its_item_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    ahead = one_ahead(items())

    assert next(ahead) == 1
    with pytest.raises(ValueError, match="second"):
        next(ahead)


def test_stopping_early_computes_no_further_and_leaves_no_thread() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1_000):
            made.append(number)
            yield number

    ahead = one_ahead(items())
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]

    assert len(made) <= 2
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]
