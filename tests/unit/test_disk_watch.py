"""The disk's watermarks."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.disk_watch import DiskState, DiskWatch, is_full

LOW = 1_000


@dataclass
class Disk:
    """A disk with a cache on it."""

    free: int
    evictable: int = 0

    def measure(self) -> int:
        return self.free

    def evict(self, wanted: int) -> None:
        freed = min(wanted, self.evictable)
        self.evictable -= freed
        self.free += freed

    def watch(self) -> DiskWatch:
        return DiskWatch(low_bytes=LOW, free=self.measure, evict=self.evict)


def test_the_cache_goes_before_anything_is_paused() -> None:
    disk = Disk(free=LOW - 1, evictable=5_000)
    watch = disk.watch()
    assert watch.has_room()
    assert (disk.free, disk.evictable) == (1_250, 4_749)


def test_claiming_resumes_above_the_higher_mark_and_not_before() -> None:
    disk = Disk(free=LOW - 1)
    watch = disk.watch()
    seen = []
    for free in (LOW - 1, LOW, 1_249, 1_250, LOW, LOW - 1):
        disk.free = free
        seen.append(watch.has_room())
    assert seen == [False, False, False, True, True, False]
    assert watch.state == DiskState(LOW - 1, is_full=True)


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    disk = Disk(free=0)
    watch = disk.watch()
    for free in (0, 0, 10, 9_999, 9_999, 0):
        disk.free = free
        watch.has_room()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "ERROR"]
    assert "1250" in caplog.messages[0]


def test_without_a_mark_nothing_is_ever_full() -> None:
    assert not is_full(0, was_full=True, low=0)


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.booleans())
def test_more_room_is_never_worse(free: int, more: int, was_full: bool) -> None:
    if not is_full(free, was_full=was_full, low=LOW):
        assert not is_full(free + more, was_full=was_full, low=LOW)
