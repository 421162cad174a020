"""Reading from a real hub process: pinning, bounded reads, downloads, and every way to fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_helpers import RunningHub, parler_files, running_hub

from utilities.hub import Hub
from utilities.hub_errors import (
    DiskFullError,
    FileMissingError,
    HubTokenError,
    HubUnreachableError,
    InvalidRepositoryNameError,
    RepositoryGatedError,
    RepositoryMissingError,
    RevisionMissingError,
    StorageError,
    TooLargeError,
)

UNKNOWN = "f" * 40


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def hub(served: RunningHub) -> Hub:
    return Hub(endpoint=served.url, token="hf_reader")


def test_a_branch_is_pinned_to_a_commit_with_sizes_and_digests(
    served: RunningHub, hub: Hub
) -> None:
    files = parler_files()
    revision = served.publish("pinned", files)

    snapshot = hub.resolve_revision("alice", "pinned")

    assert snapshot.revision == revision
    assert {file.path: file.size for file in snapshot.files} == {
        path: len(content) for path, content in files.items()
    }
    assert (snapshot.private, snapshot.gated) == (False, False)
    assert snapshot.total_bytes == sum(map(len, files.values()))
    assert hub.resolve_revision("alice", "pinned", revision) == snapshot


def test_a_download_holds_the_model_and_nothing_else(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    model = parler_files() | {"spiece.model": b"\0pieces", "vocab.txt": b"a"}
    others = {"evil.py": b"1", "data.bin": b"\0", "sub/model.safetensors": b"\0", "README.md": b"x"}
    revision = served.publish("model", model | others)
    steps: list[tuple[int, int]] = []

    into = hub.download_revision(
        "alice/model",
        revision,
        tmp_path / "model",
        progress=lambda done, total: steps.append((done, total)),
    )

    found = {str(p.relative_to(into)): p.read_bytes() for p in into.rglob("*") if p.is_file()}
    assert found == model
    total = sum(map(len, model.values()))
    assert steps[-1] == (total, total)
    assert steps == sorted(steps)


def test_an_old_revision_is_downloaded_after_the_branch_moved(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    old = served.publish("moving", {"config.json": b'{"v": 1}'})
    served.publish("moving", {"config.json": b'{"v": 2}'})
    assert (hub.download_revision("alice/moving", old, tmp_path) / "config.json").read_bytes() == (
        b'{"v": 1}'
    )


def test_what_is_there_and_intact_is_not_fetched_again(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    revision = served.publish("kept", parler_files())
    hub.download_revision("alice/kept", revision, tmp_path)
    kept, spoilt = tmp_path / "model.safetensors", tmp_path / "config.json"
    before = kept.stat().st_mtime_ns
    spoilt.write_bytes(b"x" * spoilt.stat().st_size)

    hub.download_revision("alice/kept", revision, tmp_path)

    assert kept.stat().st_mtime_ns == before
    assert spoilt.read_bytes() == parler_files()["config.json"]


def test_a_stopped_download_is_resumed(served: RunningHub, hub: Hub, tmp_path: Path) -> None:
    content = os.urandom(32_000_000)
    revision = served.publish("resumed", {"model.safetensors": content})

    class StoppedError(Exception):
        pass

    def stop_half_way(done: int, total: int) -> None:
        if done > total // 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        hub.download_revision("alice/resumed", revision, tmp_path, progress=stop_half_way)
    firsts: list[int] = []
    hub.download_revision(
        "alice/resumed", revision, tmp_path, progress=lambda done, _: firsts.append(done)
    )

    assert firsts[0] > len(content) // 4
    assert (tmp_path / "model.safetensors").read_bytes() == content


def test_a_download_that_a_dying_hub_cut_off_is_resumed_once_it_is_back(tmp_path: Path) -> None:
    content = os.urandom(32_000_000)
    with running_hub(tmp_path / "hub") as served:
        revision = served.publish("cut", {"model.safetensors": content})

        def kill_half_way(done: int, total: int) -> None:
            if done > total // 2:
                served.process.kill()

        with pytest.raises(HubUnreachableError) as caught:
            Hub(endpoint=served.url).download_revision(
                "alice/cut", revision, tmp_path / "into", progress=kill_half_way
            )
    assert caught.value.transient
    assert not (tmp_path / "into" / "model.safetensors").exists()

    firsts: list[int] = []
    with running_hub(tmp_path / "hub") as served:
        Hub(endpoint=served.url).download_revision(
            "alice/cut",
            revision,
            tmp_path / "into",
            progress=lambda done, _: firsts.append(done),
        )

    assert firsts[0] > len(content) // 2
    assert (tmp_path / "into" / "model.safetensors").read_bytes() == content


def test_a_branch_name_is_never_downloaded(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 hex digits"):
        hub.download_revision("alice/model", "main", tmp_path)


def test_a_model_above_the_limit_is_refused_before_a_byte_is_fetched(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    revision = served.publish("large", parler_files())
    with pytest.raises(TooLargeError, match="more than the 100 that are allowed"):
        hub.download_revision("alice/large", revision, tmp_path / "none", max_bytes=100)
    assert not (tmp_path / "none").exists()


def test_a_model_that_does_not_fit_on_the_disk_is_refused_before_a_byte_is_fetched(
    served: RunningHub, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = served.publish("roomy", parler_files())
    nearly_full = SimpleNamespace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly_full)
    with pytest.raises(DiskFullError, match="where 10 are free") as caught:
        hub.download_revision("alice/roomy", revision, tmp_path)
    assert caught.value.transient
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_our_fault(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    revision = served.publish("stored", parler_files())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError) as caught:
        hub.download_revision("alice/stored", revision, tmp_path / "file" / "below")
    assert caught.value.transient


def test_a_small_file_is_read_within_its_limit(served: RunningHub, hub: Hub) -> None:
    served.publish("small", parler_files() | {"weights.txt": b"\0" * 50})
    snapshot = hub.resolve_revision("alice", "small")
    config = parler_files()["config.json"]
    assert hub.read_small_file(snapshot, "config.json", max_bytes=len(config)) == config
    assert hub.read_small_file(snapshot, "weights.txt", max_bytes=50) == b"\0" * 50
    with pytest.raises(TooLargeError):
        hub.read_small_file(snapshot, "config.json", max_bytes=len(config) - 1)
    with pytest.raises(FileMissingError):
        hub.read_small_file(snapshot, "none.json", max_bytes=1)


def test_an_unknown_repository_is_missing(hub: Hub) -> None:
    with pytest.raises(RepositoryMissingError, match="alice/nothing") as caught:
        hub.resolve_revision("alice", "nothing")
    assert not caught.value.transient


def test_a_private_repository_is_missing_for_others(served: RunningHub, hub: Hub) -> None:
    served.api().create_repo("alice/secret", private=True)
    with pytest.raises(RepositoryMissingError):
        hub.resolve_revision("alice", "secret")
    assert Hub(endpoint=served.url, token="hf_alice").resolve_revision("alice", "secret").private


def test_a_gated_repository_is_seen_and_not_downloaded(
    served: RunningHub, hub: Hub, tmp_path: Path
) -> None:
    revision = served.publish("gated", parler_files())
    served.api().update_repo_settings("alice/gated", gated="auto")
    snapshot = hub.resolve_revision("alice", "gated")
    assert snapshot.gated
    with pytest.raises(RepositoryGatedError):
        hub.read_small_file(snapshot, "config.json", max_bytes=10_000)
    with pytest.raises(RepositoryGatedError):
        hub.download_revision("alice/gated", revision, tmp_path)


def test_a_vanished_revision_is_missing(served: RunningHub, hub: Hub, tmp_path: Path) -> None:
    old = served.publish("vanished", {"config.json": b"{}"})
    served.api().super_squash_history("alice/vanished")
    with pytest.raises(RevisionMissingError):
        hub.resolve_revision("alice", "vanished", old)
    with pytest.raises(RevisionMissingError):
        hub.download_revision("alice/vanished", old, tmp_path)


def test_an_unknown_revision_is_missing(served: RunningHub, hub: Hub) -> None:
    served.publish("revisions", {"config.json": b"{}"})
    with pytest.raises(RevisionMissingError):
        hub.resolve_revision("alice", "revisions", UNKNOWN)


def test_a_name_that_cannot_be_is_refused_without_asking() -> None:
    nowhere = Hub(endpoint="http://127.0.0.1:9")
    with pytest.raises(InvalidRepositoryNameError):
        nowhere.resolve_revision("alice", "not a name")


def test_a_refused_token_is_our_fault(served: RunningHub) -> None:
    served.publish("tokens", {"config.json": b"{}"})
    with pytest.raises(HubTokenError):
        Hub(endpoint=served.url, token="not-a-token").resolve_revision("alice", "tokens")


def test_a_hub_that_is_down_is_transient(tmp_path: Path) -> None:
    nowhere = Hub(endpoint="http://127.0.0.1:9")
    with pytest.raises(HubUnreachableError) as caught:
        nowhere.resolve_revision("alice", "voice")
    assert caught.value.transient
    with pytest.raises(HubUnreachableError):
        nowhere.download_revision("alice/voice", UNKNOWN, tmp_path)


def test_bytes_that_changed_on_the_hub_are_noticed(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as served:
        hub = Hub(endpoint=served.url)
        files = parler_files() | {"model.safetensors": os.urandom(2_000_000)}
        revision = served.publish("tampered", files)
        snapshot = hub.resolve_revision("alice", "tampered")
        for blob in (tmp_path / "hub" / "blobs").iterdir():
            blob.write_bytes(b"x" * blob.stat().st_size)
        with pytest.raises(HubUnreachableError, match="does not have the digest"):
            hub.read_small_file(snapshot, "config.json", max_bytes=10_000)
        with pytest.raises(HubUnreachableError, match="does not have the digest"):
            hub.download_revision("alice/tampered", revision, tmp_path / "into")
