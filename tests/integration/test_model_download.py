"""Models from a real hub through the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hub_helpers import RunningHub, parler_files, running_hub

from utilities.hub import Hub
from voice_validation_api.evaluation import EvaluationError, InterruptedEvaluationError
from voice_validation_api.failures import ServiceCode
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.model_download import held_model

BIG = "model.safetensors"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "models", max_bytes=10**9, min_free_bytes=0)


def take(
    served: RunningHub,
    cache: ModelCache,
    name: str,
    revision: str,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, tuple[int, bytes]]:
    """Inode and content of every file of the model."""
    with held_model(
        Hub(endpoint=served.url),
        cache,
        f"alice/{name}",
        revision,
        max_bytes=10**9,
        interrupted=interrupted,
    ) as path:
        return {file.name: (file.stat().st_ino, file.read_bytes()) for file in path.iterdir()}


def test_a_revision_is_downloaded_once(served: RunningHub, cache: ModelCache) -> None:
    revision = served.publish("once", parler_files())
    first = take(served, cache, "once", revision)
    assert {name: content for name, (_, content) in first.items()} == parler_files()
    assert take(served, cache, "once", revision) == first


def test_two_revisions_lie_beside_each_other(served: RunningHub, cache: ModelCache) -> None:
    old = served.publish("moving", parler_files())
    new = served.publish("moving", {"config.json": b"{}"})
    assert take(served, cache, "moving", new)["config.json"][1] == b"{}"
    assert take(served, cache, "moving", old)["config.json"][1] != b"{}"
    assert len(cache.entries()) == 2


def test_a_byte_that_flipped_on_the_disk_is_found_and_mended(
    served: RunningHub, cache: ModelCache, tmp_path: Path
) -> None:
    revision = served.publish("flipped", parler_files())
    take(served, cache, "flipped", revision)
    (path,) = tmp_path.glob(f"models/*/model/{BIG}")
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert take(served, cache, "flipped", revision)[BIG][1] == parler_files()[BIG]


def test_a_download_that_was_interrupted_is_resumed(
    served: RunningHub, cache: ModelCache, tmp_path: Path
) -> None:
    content = bytes(8 << 20)
    revision = served.publish("resumed", {BIG: content})
    asked = count()
    with pytest.raises(InterruptedEvaluationError):
        take(served, cache, "resumed", revision, lambda: next(asked) >= 3)
    (part,) = tmp_path.glob("models/*/partial/.*.part")
    had = part.stat()
    assert 0 < had.st_size < len(content)
    assert list(tmp_path.glob("models/*/model")) == []
    inode, found = take(served, cache, "resumed", revision)[BIG]
    assert (inode, found) == (had.st_ino, content)


def test_a_repository_that_went_away_is_not_evaluated_from_the_cache(
    served: RunningHub, cache: ModelCache
) -> None:
    revision = served.publish("gone", parler_files())
    take(served, cache, "gone", revision)
    served.api().delete_repo("alice/gone")
    with pytest.raises(EvaluationError) as refusal:
        take(served, cache, "gone", revision)
    assert refusal.value.code is ServiceCode.REPOSITORY_NOT_FOUND


def test_a_cache_that_cannot_be_written_is_ours(served: RunningHub, tmp_path: Path) -> None:
    revision = served.publish("homeless", parler_files())
    (tmp_path / "models").write_text("a file where the cache should be")
    with pytest.raises(EvaluationError) as refusal:
        take(
            served,
            ModelCache(tmp_path / "models", max_bytes=1, min_free_bytes=0),
            "homeless",
            revision,
        )
    assert refusal.value.code is ServiceCode.WORKER_ERROR
