"""The audio store in an S3-compatible object store.

Endpoint and credentials come from the usual ``AWS_...`` variables, which no evaluator is given.
An object appears whole or not at all, and no row refers to the clips of an attempt before all of
them are there.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec
from fsspec import AbstractFileSystem

from voice_validation_api.audio_base import (
    AudioStoreError,
    Clip,
    StoredAttempt,
    attempt_at,
    place_of,
    place_of_voice,
    stored_names,
)
from voice_validation_api.records import EvaluationId, SubmissionId

AT_ONCE = 16
"""Clips in memory and on their way at one time; one is at most 60 s of 48 kHz audio."""
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 2

log = logging.getLogger(__name__)


class ObjectAudioStore:
    """See ``AudioStore``. ``root`` is a bucket, and a prefix if need be; ``errors`` is what the
    file system raises besides OSError."""

    def __init__(
        self, filesystem: AbstractFileSystem, root: str, errors: tuple[type[Exception], ...]
    ) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._errors = errors

    def check(self) -> None:
        probe = f"{self._root}/.check-{secrets.token_hex(8)}"
        with self._asked():
            self._filesystem.pipe_file(probe, b"")
            self._filesystem.rm_file(probe)

    def publish(
        self, submission: SubmissionId, evaluation: EvaluationId, clips: Mapping[str, Path]
    ) -> dict[str, str]:
        return self._keep(place_of(submission, evaluation), clips)

    def publish_voice(self, voice: str, request_digest: str, clips: Mapping[str, Path]) -> None:
        self._keep(place_of_voice(voice, request_digest), clips)

    def find(self, stored: str) -> Clip | None:
        place = PurePosixPath(stored)
        if place.is_absolute() or ".." in place.parts or place.suffix != ".wav":
            return None
        key = f"{self._root}/{place}"
        try:
            with self._asked():
                size = int(self._filesystem.info(key)["size"])
        except FileNotFoundError:
            return None
        return Clip(size, lambda start, stop: self._read(key, start, stop))

    def discard(self, submission: SubmissionId, evaluation: EvaluationId) -> None:
        self._remove(place_of(submission, evaluation))

    def attempts(self) -> Iterator[StoredAttempt]:
        try:
            with self._asked():
                submissions = self._filesystem.ls(self._root, detail=False)
        except FileNotFoundError:
            return
        # One listing for each submission: all at once may be more than memory holds.
        for submission in submissions:
            with self._asked():
                files = self._filesystem.find(submission, detail=True)
            sizes: Counter[str] = Counter()
            for path, info in files.items():
                sizes[PurePosixPath(path).parent.name] += int(info["size"])
            for evaluation, size in sizes.items():
                name = PurePosixPath(submission).name
                if (attempt := attempt_at(name, evaluation, size)) is not None:
                    yield attempt

    def _keep(self, where: PurePosixPath, clips: Mapping[str, Path]) -> dict[str, str]:
        names = stored_names(where, clips)
        order = sorted(names)
        try:
            for first in range(0, len(order), AT_ONCE):
                batch = order[first : first + AT_ONCE]
                contents = {f"{self._root}/{names[name]}": _content(clips[name]) for name in batch}
                with self._asked():
                    self._filesystem.pipe(contents)
        except OSError:
            self._remove(where)
            raise
        return names

    def _remove(self, where: PurePosixPath) -> None:
        try:
            with self._asked():
                self._filesystem.rm(f"{self._root}/{where}", recursive=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            # Nothing refers to it: it costs space and no more.
            log.warning("%s is left in the audio store: %s", where, error)

    def _read(self, key: str, start: int, stop: int) -> bytes:
        with self._asked():
            return bytes(self._filesystem.cat_file(key, start=start, end=stop))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise AudioStoreError(f"the audio store {self._root}: {error}") from error


def open_s3_store(place: str) -> ObjectAudioStore:
    """The store at ``s3://bucket/prefix``. Raises AudioStoreError without the packages for it."""
    root = place.removeprefix("s3://")
    if root.startswith("/") or not root:
        raise AudioStoreError(f"AUDIO_STORE={place} names no bucket; give s3://bucket/prefix")
    try:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - part of an extra

        filesystem = fsspec.filesystem(
            "s3",
            # What another program wrote must be seen.
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "retries": {"total_max_attempts": ATTEMPTS},
            },
        )
    except ImportError as error:
        raise AudioStoreError(
            f"AUDIO_STORE={place} needs the packages for S3: pip install '.[s3]'"
        ) from error
    # Tries of its own around those of the client would keep a caller waiting for minutes.
    filesystem.retries = 1
    return ObjectAudioStore(filesystem, root, (BotoCoreError,))


def _content(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()
