"""What programs write to their logs, and what they must not."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from utilities.logs import MAX_ENTRY_CHARS, LogFormat, configure_logging, log_context

log = logging.getLogger("tests.logs")


@contextmanager
def captured(log_format: LogFormat = "json", *secrets: str) -> Iterator[io.StringIO]:
    """What is written, by the handler that programs use."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    # basicConfig(force=True) closes the handlers that it finds.
    root.handlers = []
    try:
        configure_logging("INFO", log_format, secrets=secrets)
        stream = io.StringIO()
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        yield stream
    finally:
        root.handlers = before
        root.setLevel(level)


def test_a_json_entry_holds_the_fields_of_its_context() -> None:
    with captured() as written, log_context(submission=7), log_context(evaluation=9):
        log.warning("disk at %d %%", 91)
    entry = json.loads(written.getvalue())
    assert entry["time"].endswith("Z")
    del entry["time"]
    assert entry == {
        "level": "WARNING",
        "logger": "tests.logs",
        "message": "disk at 91 %",
        "submission": 7,
        "evaluation": 9,
    }


def test_the_context_ends_with_its_block_and_stays_in_its_thread() -> None:
    with captured() as written:
        with log_context(submission=7):
            bare = threading.Thread(target=log.info, args=("bare",))
            copied = threading.Thread(
                target=contextvars.copy_context().run, args=(log.info, "copied")
            )
            for thread in (bare, copied):
                thread.start()
                thread.join()
        log.info("after")
    entries = {e["message"]: e for e in map(json.loads, written.getvalue().splitlines())}
    assert entries["copied"]["submission"] == 7
    assert "submission" not in entries["bare"]
    assert "submission" not in entries["after"]


def test_a_text_entry_ends_with_its_context() -> None:
    with captured("text") as written, log_context(submission=7, evaluation=9):
        log.info("claimed %s", "alice/voice")
    line = written.getvalue()
    assert line.endswith(" INFO tests.logs: claimed alice/voice [submission=7 evaluation=9]\n")


def test_text_of_strangers_cannot_pass_for_an_entry() -> None:
    forged = "oops\n2026-01-01T00:00:00.000Z INFO auth: all is well\x1b[2J\r"
    with captured("text") as written:
        log.info("%s", forged)
    assert len([line for line in written.getvalue().splitlines() if line[0] != " "]) == 1
    assert "\x1b" not in written.getvalue()
    assert "\r" not in written.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_entry_is_bounded_and_keeps_both_ends(log_format: LogFormat) -> None:
    with captured(log_format) as written:
        log.info("begin %s end", "x" * 1_000_000)
    assert len(written.getvalue()) < MAX_ENTRY_CHARS + 200
    assert "begin" in written.getvalue()
    assert " end" in written.getvalue()


def test_a_traceback_is_part_of_its_entry() -> None:
    with captured() as written:
        try:
            raise ValueError("postgresql://speech:hunter2@db/speech is malformed")
        except ValueError:
            log.exception("cannot start")
    entry = json.loads(written.getvalue())
    assert "Traceback" in entry["message"]
    assert "is malformed" in entry["message"]
    assert "hunter2" not in written.getvalue()


def test_known_secrets_are_hidden_wherever_they_stand() -> None:
    with captured("json", "correct horse battery") as written:
        log.info("called with %r", {"key": "correct horse battery"})
    assert "horse" not in written.getvalue()
