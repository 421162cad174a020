"""Answers made once for all who ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from voice_validation_api.shared_answers import MAX_ANSWERS, SharedAnswer, SharedAnswers


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Maker:
    """Makes "1", "2" and so on."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> bytes:
        self.made += 1
        return str(self.made).encode()


def test_an_answer_is_due_after_its_time_and_gone_after_twice_that() -> None:
    clock, make = Clock(), Maker()
    answers = SharedAnswers(1.0, clock)
    assert answers.at_hand("k") is None
    first = answers.get("k", make)
    clock.now += 0.9
    assert (answers.get("k", make), answers.is_due("k")) == (first, False)
    clock.now += 0.9
    assert (answers.at_hand("k"), answers.is_due("k")) == (first, True)
    clock.now += 0.3
    assert answers.at_hand("k") is None
    assert answers.get("k", make).body == b"2"


def test_the_time_in_which_an_answer_is_made_makes_it_old() -> None:
    clock = Clock()
    answers = SharedAnswers(1.0, clock)

    def slow() -> bytes:
        clock.now += 5.0
        return b"old"

    answers.get("k", slow)
    assert answers.at_hand("k") is None


def test_equal_bytes_have_equal_tags_and_others_do_not() -> None:
    assert SharedAnswer.of(b"a").etag == SharedAnswer.of(b"a").etag != SharedAnswer.of(b"b").etag


def test_of_many_at_once_one_makes_it_and_meanwhile_nothing_is_due() -> None:
    answers, go, began, make = SharedAnswers(1_000.0), threading.Event(), threading.Event(), Maker()

    def waits() -> bytes:
        began.set()
        assert go.wait(20)
        return make()

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(answers.get, "k", waits) for _ in range(8)]
        assert began.wait(20)
        assert not answers.is_due("k")
        go.set()
        assert {future.result().body for future in asked} == {b"1"}


def test_a_failure_is_not_kept() -> None:
    answers, make = SharedAnswers(1.0), Maker()

    def fails() -> bytes:
        raise OSError

    with pytest.raises(OSError):
        answers.get("k", fails)
    assert answers.get("k", make).body == b"1"


def test_without_a_time_everyone_gets_their_own() -> None:
    answers, make = SharedAnswers(0.0), Maker()
    assert [answers.get("k", make).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert answers.at_hand("k") is None


def test_memory_is_bounded() -> None:
    answers, make = SharedAnswers(1_000.0), Maker()
    for key in range(MAX_ANSWERS + 1):
        answers.get(key, make)
    assert answers.at_hand(0) is None
    assert answers.at_hand(MAX_ANSWERS) is not None
