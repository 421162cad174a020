"""Computing ahead of use: in order, bounded, and over when its block is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoring.tts.ahead import THREAD_NAME, Ahead, mapped

PATIENCE = 10


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_items_come_whole_and_in_order(depth: int) -> None:
    with Ahead() as ahead:
        assert list(ahead.of(iter(range(50)), depth)) == list(range(50))
        assert list(ahead.of(iter(()), depth)) == []
    assert not threads()


def test_without_depth_nothing_is_computed_before_it_is_asked_for() -> None:
    made: list[int] = []

    with Ahead() as ahead:
        items = ahead.of((made.append(n) or n for n in range(9)), 0)
        assert next(items) == 0
        assert made == [0]
        assert not threads()


@pytest.mark.parametrize("depth", [1, 3])
def test_as_many_as_allowed_are_computed_while_one_is_used_and_no_more(depth: int) -> None:
    made: list[int] = []
    enough = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if len(made) == 1 + depth:
                enough.set()
            yield number

    with Ahead() as ahead:
        coming = ahead.of(items(), depth)
        assert next(coming) == 0
        assert enough.wait(PATIENCE)
        # Joining the thread would tell of more; asking for one item more must do.
        assert next(coming) == 1
        assert len(made) <= 2 + depth


def test_an_error_is_raised_in_its_place_and_nothing_is_computed_after_it() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        made.append(1)
        yield 1
        raise ValueError("the second cannot be made")

    with Ahead() as ahead:
        coming = ahead.of(items(), 4)
        assert next(coming) == 1
        with pytest.raises(ValueError, match="second"):
            next(coming)
    assert made == [1]
    assert not threads()


def test_an_error_passes_through_a_stage_that_waits_for_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("no second")

    with Ahead() as ahead:
        doubled = (2 * item for item in ahead.of(items(), 2))
        coming = ahead.of(doubled, 2)
        assert next(coming) == 2
        with pytest.raises(ValueError, match="no second"):
            next(coming)
    assert not threads()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_leaving_early_ends_stages_that_wait_for_one_another(error: type[BaseException]) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1_000):
            made.append(number)
            yield number

    def sums(numbers: Iterator[int]) -> Iterator[int]:
        while True:
            yield sum(next(numbers) for _ in range(100))

    with pytest.raises(error), Ahead() as ahead:
        coming = ahead.of(sums(ahead.of(items(), 3)), 2)
        assert next(coming) == sum(range(100))
        raise error
    assert len(made) < 1_000
    assert not threads()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_work_in_a_pool_comes_back_in_order_and_is_bounded(depth: int) -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1
        return number * number

    taken = 0

    def numbers() -> Iterator[int]:
        for number in range(40):
            assert number - taken <= depth
            yield number

    with ThreadPoolExecutor(8) as pool:
        for square in mapped(pool, work, numbers(), depth):
            assert square == taken * taken
            taken += 1
    assert taken == 40
    assert most[0] <= depth


def test_the_slowest_piece_of_work_holds_back_those_behind_it() -> None:
    release = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert release.wait(PATIENCE)
        return number

    def numbers() -> Iterator[int]:
        for number in range(3):
            if number == 2:
                release.set()
            yield number

    with ThreadPoolExecutor(4) as pool:
        assert list(mapped(pool, work, numbers(), 3)) == [0, 1, 2]


def test_without_a_pool_work_is_done_when_it_is_asked_for() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("not two")
        return number

    done = mapped(None, work, iter(range(4)), 0)
    assert [next(done), next(done)] == [0, 1]
    with pytest.raises(ValueError, match="not two"):
        next(done)
