"""The model cache: what is kept, what goes, and that nobody loses what he uses."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from voice_validation_api.file_locks import locked
from voice_validation_api.model_cache import (
    AlteredModelError,
    Entry,
    ModelCache,
    Wanted,
    evictions,
)

DEADLINE = 20


class GaveUpError(Exception):
    """A wait was ended, or a download was interrupted."""


def give_up() -> None:
    raise GaveUpError


def model(key: str, size: int = 10, on_fetch: Callable[[Path], None] = lambda into: None) -> Wanted:
    """A model of one file that is made here; ``on_fetch`` is called before the file is complete."""
    content = (key.encode() * size)[:size]

    def fetch(into: Path) -> None:
        into.mkdir(exist_ok=True)
        on_fetch(into)
        (into / "weights").write_bytes(content)

    return Wanted(
        key, f"the model {key}", size, fetch, lambda directory: weights_are(directory, content)
    )


def weights_are(directory: Path, content: bytes) -> bool:
    path = directory / "weights"
    return path.exists() and path.read_bytes() == content


def ticking() -> Callable[[], int]:
    ticks = count(1_000_000_000)
    return lambda: next(ticks)


def cache_in(root: Path, max_bytes: int) -> ModelCache:
    return ModelCache(root, max_bytes=max_bytes, min_free_bytes=0, clock=ticking())


def keys(cache: ModelCache) -> list[str]:
    return [entry.key for entry in cache.entries()]


def use(cache: ModelCache, wanted: Wanted) -> None:
    with cache.held(wanted, give_up):
        pass


entries = st.lists(
    st.builds(
        Entry,
        key=st.text("abcdef", min_size=1, max_size=4),
        size_bytes=st.integers(0, 100),
        last_use=st.integers(0, 20),
        in_use=st.booleans(),
    ),
    unique_by=lambda entry: entry.key,
)


@given(entries, st.integers(-50, 500))
def test_the_oldest_idle_entries_go_and_no_more_than_needed(held: list[Entry], excess: int) -> None:
    chosen = evictions(held, excess)
    idle = sorted((e for e in held if not e.in_use), key=lambda e: (e.last_use, e.key))
    assert list(chosen) == idle[: len(chosen)]
    freed = sum(entry.size_bytes for entry in chosen)
    assert freed >= excess or len(chosen) == len(idle)
    if chosen:
        assert freed - chosen[-1].size_bytes < excess


class CacheMachine(RuleBasedStateMachine):
    """Users that hold and let go, against a list in order of use."""

    @initialize(max_bytes=st.integers(0, 60))
    def begin(self, max_bytes: int) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.max_bytes = max_bytes
        self.cache = cache_in(self.root, max_bytes)
        self.order: list[str] = []
        self.holds: list[tuple[str, ExitStack]] = []

    @rule(key=st.sampled_from("abcdefgh"))
    def hold(self, key: str) -> None:
        size = 5 + 5 * (ord(key) - ord("a"))
        fetched: list[Path] = []
        known = key in self.order
        if not known:
            self._expect_room_for(key)
        else:
            self.order.remove(key)
        self.order.append(key)
        stack = ExitStack()
        wanted = model(key, size, fetched.append)
        path = stack.enter_context(self.cache.held(wanted, give_up))
        assert wanted.is_whole(path)
        assert bool(fetched) is not known
        if not known:
            total = sum(map(self._size, keys(self.cache)))
            others = set(keys(self.cache)) - {key}
            assert total <= self.max_bytes or others <= self._held()
        self.holds.append((key, stack))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        key, stack = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        stack.close()
        self.order.remove(key)
        self.order.append(key)

    @rule(free=st.integers(0, 60))
    def evict(self, free: int) -> None:
        before = set(keys(self.cache))
        freed = self.cache.evict(free)
        idle = [key for key in self.order if key not in self._held()]
        gone = before - set(keys(self.cache))
        assert gone == set(idle[: len(gone)])
        assert freed == sum(map(self._size, gone))
        assert freed >= free or gone == set(idle)
        self.order = [key for key in self.order if key not in gone]

    @invariant()
    def nothing_else_is_there_and_what_is_held_is_whole(self) -> None:
        assert sorted(keys(self.cache)) == sorted(self.order)
        for key in self._held():
            assert (self.root / key / "model" / "weights").stat().st_size == self._size(key)

    def teardown(self) -> None:
        for _, stack in getattr(self, "holds", []):
            stack.close()
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    def _expect_room_for(self, key: str) -> None:
        total = sum(map(self._size, self.order)) + self._size(key)
        for old in [key for key in self.order if key not in self._held()]:
            if total <= self.max_bytes:
                break
            self.order.remove(old)
            total -= self._size(old)

    def _held(self) -> set[str]:
        return {key for key, _ in self.holds}

    def _size(self, key: str) -> int:
        return 5 + 5 * (ord(key) - ord("a"))


TestCacheMachine = CacheMachine.TestCase
# Every step works on the disk.
TestCacheMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_a_model_is_fetched_once_and_then_kept(tmp_path: Path) -> None:
    cache, fetched = cache_in(tmp_path, 100), list[Path]()
    for _ in range(3):
        use(cache, model("a", on_fetch=fetched.append))
    assert len(fetched) == 1


def test_a_model_larger_than_the_cache_is_kept_alone(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 25)
    use(cache, model("a"))
    use(cache, model("b"))
    use(cache, model("large", 1_000))
    assert keys(cache) == ["large"]
    use(cache, model("a"))
    assert keys(cache) == ["a"]


def test_a_nearly_full_disk_leaves_only_what_is_used(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path, max_bytes=10**6, min_free_bytes=2**60, clock=ticking())
    use(cache, model("a"))
    use(cache, model("b"))
    assert keys(cache) == ["b"]


def test_an_interrupted_download_is_taken_up_and_is_never_whole(tmp_path: Path) -> None:
    cache, found = cache_in(tmp_path, 100), list[str]()

    def break_off(into: Path) -> None:
        (into / "part").write_bytes(b"half")
        raise GaveUpError

    def take_up(into: Path) -> None:
        found.append((into / "part").read_text())
        (into / "part").unlink()

    with pytest.raises(GaveUpError):
        use(cache, model("a", on_fetch=break_off))
    assert not (tmp_path / "a" / "model").exists()
    use(cache, model("a", on_fetch=take_up))
    assert found == ["half"]
    assert [path.name for path in (tmp_path / "a" / "model").iterdir()] == ["weights"]


@pytest.mark.parametrize("damage", [b"0123456789", b"short", None])
def test_a_damaged_entry_is_thrown_away_and_fetched_anew(
    tmp_path: Path, damage: bytes | None
) -> None:
    cache, fetched = cache_in(tmp_path, 100), list[Path]()
    wanted = model("a", on_fetch=fetched.append)
    use(cache, wanted)
    weights = tmp_path / "a" / "model" / "weights"
    weights.unlink()
    if damage is not None:
        weights.write_bytes(damage)
    with cache.held(wanted, give_up) as path:
        assert wanted.is_whole(path)
    assert len(fetched) == 2


def test_a_model_that_changes_while_in_use_is_told_and_fetched_anew(tmp_path: Path) -> None:
    cache, wanted = cache_in(tmp_path, 100), model("a")
    with (
        pytest.raises(AlteredModelError, match="the model a changed"),
        cache.held(wanted, give_up) as path,
    ):
        (path / "weights").chmod(0o644)
        (path / "weights").write_bytes(b"b" * wanted.size_bytes)
    with cache.held(wanted, give_up) as path:
        assert wanted.is_whole(path)


def test_files_of_the_cache_are_not_to_be_written(tmp_path: Path) -> None:
    with cache_in(tmp_path, 100).held(model("a"), give_up) as path:
        assert (path / "weights").stat().st_mode & 0o777 == 0o444


def test_an_empty_record_after_a_power_cut_costs_nothing(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 25)
    use(cache, model("a"))
    (tmp_path / "a" / "entry.json").write_text("")
    use(cache, model("b"))
    assert keys(cache) == ["a", "b"]
    assert sum(entry.size_bytes for entry in cache.entries()) == 20


def at_once(work: Callable[[ModelCache], None], caches: list[ModelCache]) -> None:
    threads = [threading.Thread(target=work, args=(cache,)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)


def test_two_who_want_the_same_model_fetch_it_once_and_use_it_together(tmp_path: Path) -> None:
    caches = [cache_in(tmp_path, 100) for _ in range(2)]
    fetched, together = list[Path](), threading.Barrier(2, timeout=DEADLINE)
    used = []

    def work(cache: ModelCache) -> None:
        with cache.held(model("a", on_fetch=fetched.append), lambda: None) as path:
            together.wait()
            used.append(path)

    at_once(work, caches)
    assert (len(used), len(fetched)) == (2, 1)


def test_two_who_find_an_entry_damaged_at_once_use_together_what_one_fetches(
    tmp_path: Path,
) -> None:
    caches, fetched, used = [cache_in(tmp_path, 100) for _ in range(2)], list[Path](), []
    both_looked, together = (threading.Barrier(2, timeout=DEADLINE) for _ in range(2))
    looked = set[int]()
    wanted = model("a", on_fetch=fetched.append)
    use(caches[0], wanted)
    weights = tmp_path / "a" / "model" / "weights"
    weights.unlink()
    weights.write_bytes(b"damaged")

    def is_whole(directory: Path) -> bool:
        if threading.get_ident() not in looked:
            looked.add(threading.get_ident())
            both_looked.wait()
        return wanted.is_whole(directory)

    def work(cache: ModelCache) -> None:
        with cache.held(replace(wanted, is_whole=is_whole), lambda: None) as path:
            together.wait()
            used.append(path)

    at_once(work, caches)
    assert (len(used), len(fetched)) == (2, 2)


def test_who_waits_for_another_download_can_be_interrupted(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 100)
    with locked(tmp_path / "a.lock"), pytest.raises(GaveUpError):
        use(cache, model("a"))


def test_another_process_keeps_what_it_uses_until_it_dies(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, 100)
    use(cache, model("a"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert (cache.evict(10), keys(cache)) == (0, ["a"])
    finally:
        holder.kill()
        holder.communicate()
    assert (cache.evict(10), keys(cache)) == (10, [])


HOLD = """
import pathlib, sys
from voice_validation_api.file_locks import locked
with locked(pathlib.Path(sys.argv[1]), shared=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_on_a_removed_file_excludes_nobody_and_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waits = []

    def remove_it() -> None:
        waits.append(path)
        path.unlink()

    with locked(path), locked(path, waiting=remove_it):
        assert len(waits) == 1
        with pytest.raises(GaveUpError), locked(path, waiting=give_up):
            pass
