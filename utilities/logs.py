"""How every program logs: one event per entry on stderr, with UTC time and level.

``log_context`` names what a block works on, such as a submission: every entry that is logged
inside, by whatever module, carries it. Secrets are taken out and every entry is bounded.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from utilities.redaction import Redactor

LogFormat = Literal["text", "json"]

MAX_ENTRY_CHARS = 16_384
_CUT = " …[{} characters left out]… "

_context: ContextVar[Mapping[str, str | int]] = ContextVar("log_context", default={})  # noqa: B039  never written to

# What strangers' text could do to a terminal, or to a reader that takes it for a new entry.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


_CHATTY = (
    *("asyncio", "filelock", "httpcore", "httpcore2", "httpx", "httpx2"),
    *("websockets", "bittensor.transport"),
)


@contextmanager
def log_context(**fields: str | int) -> Iterator[None]:
    """Add ``fields`` to everything that this thread logs inside the block.

    A thread started inside does not have them, unless it is run by
    ``contextvars.copy_context().run``.
    """
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging(
    level: str, log_format: LogFormat = "text", *, secrets: Iterable[str] = ()
) -> None:
    """Log to stderr from ``level`` (a name such as INFO) on. For ``main()`` functions.

    ``secrets`` are values that must not be written, whoever logs them.
    """
    redact = Redactor(secrets)
    handler = logging.StreamHandler()
    handler.addFilter(_add_context)
    formatter = JsonFormatter(redact) if log_format == "json" else TextFormatter(redact)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per request or message would drown everything else.
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _add_context(record: logging.LogRecord) -> bool:
    # Here and not in the formatter: a filter runs in the thread that logs.
    record.context = _context.get()
    return True


class _SafeFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._redact = redact

    def _time(self, record: logging.LogRecord) -> str:
        return f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z"

    def _text(self, record: logging.LogRecord) -> str:
        """Message and traceback: bounded, without secrets and control characters."""
        text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", super().format(record))
        # Cut first: redaction may cost time in proportion to the length. A little more is cut
        # than asked for, so that what is written in place of secrets has room.
        text = self._redact(_bounded(text, MAX_ENTRY_CHARS - 1_024))
        return _bounded(text, MAX_ENTRY_CHARS)


class TextFormatter(_SafeFormatter):
    """``TIME LEVEL logger: message [submission=1 evaluation=2]``; further lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry. An indented line continues the entry above, whatever it says."""
        context = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        first, *rest = self._text(record).split("\n")
        where = f"{self._time(record)} {record.levelname} {record.name}: "
        return "\n    ".join([f"{where}{first}{f' [{context}]' if context else ''}", *rest])


class JsonFormatter(_SafeFormatter):
    """One JSON object per line: time, level, logger, message, and the context's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One entry."""
        entry = {
            **_fields(record),
            "time": self._time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._text(record),
        }
        return json.dumps(entry, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> Mapping[str, str | int]:
    fields: Mapping[str, str | int] = getattr(record, "context", {})
    return fields


def _bounded(text: str, limit: int) -> str:
    """Both ends of a long text: a message begins with what happened, a traceback ends with it."""
    if len(text) <= limit:
        return text
    half = limit // 2 - len(_CUT) - 8
    return text[:half] + _CUT.format(len(text) - 2 * half) + text[-half:]
