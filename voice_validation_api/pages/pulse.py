"""Tells open pages that something has changed, over server-sent events.

One task of the process asks the database once a second, and only while somebody listens; so every
process of the API tells its own listeners, and none needs to know the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from fastapi.concurrency import run_in_threadpool

from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.pages.queries import PageState

MAX_LISTENERS: Final = 1_000
"""In one process. Pages that find no place ask again later."""
BEAT_SECONDS: Final = 1.0
SILENT_BEATS: Final = 15
"""After so many a comment is sent, so that whoever has gone is noticed, and proxies stay awake."""

log = logging.getLogger(__name__)


class Pulse:
    """The newest state as its digest, and those who wait for another. For one event loop."""

    def __init__(self, state: Callable[[], PageState]) -> None:
        self._state = state
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._now = ""
        self._changed = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether nobody else can listen."""
        return self._listeners >= MAX_LISTENERS

    async def events(self) -> AsyncIterator[str]:
        """The digest of the state, at once and after every change, until the listener goes."""
        self._listeners += 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._beat())
            # A page whose connection broke comes back by itself.
            yield "retry: 3000\n\n"
            told = ""
            while True:
                changed = self._changed
                if self._now and told != self._now:
                    told = self._now
                    yield f"data: {told}\n\n"
                else:
                    yield ": still here\n\n"
                try:
                    await asyncio.wait_for(changed.wait(), BEAT_SECONDS * SILENT_BEATS)
                except asyncio.TimeoutError:
                    continue
        finally:
            self._listeners -= 1

    async def _beat(self) -> None:
        while self._listeners:
            try:
                now = (await run_in_threadpool(self._state)).digest
            except DatabaseUnavailableError as error:
                log.warning("open pages are not told of changes: %s", error)
                now = self._now
            if now != self._now:
                self._now = now
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            await asyncio.sleep(BEAT_SECONDS)
        # Whoever listens next is not told of a state that may be long gone.
        self._now = ""
