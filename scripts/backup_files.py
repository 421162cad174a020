"""What a backup consists of: a folder with a dump, a list of the audio, and ``backup.json``, which
is written last and vouches for the other two."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DUMP, AUDIO, MANIFEST = "database.dump", "audio.jsonl", "backup.json"
FORMAT = 1


class BackupError(Exception):
    """A backup cannot be made, or cannot be used; the message says why and what to do."""


class BackupManifest(BaseModel):
    """``backup.json``: what the backup was made of, and checksums of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    made_at: str
    release_schema: int = Field(description="The newest migration of the database.")
    postgres_major: int
    role: str = Field(description="The owner of the database, who must restore it.")
    dump_sha256: str
    audio_sha256: str
    audio_files: int
    rows: dict[str, int]


class AudioFile(BaseModel):
    """One line of ``audio.jsonl``: a clip that a result refers to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str | None


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_manifest(folder: Path) -> BackupManifest:
    """The manifest of a whole and unaltered backup. Raises BackupError."""
    try:
        manifest = BackupManifest.model_validate_json((folder / MANIFEST).read_text("utf-8"))
        sums = (sha256_of(folder / DUMP), sha256_of(folder / AUDIO))
    except OSError as error:
        raise BackupError(f"{folder} is no backup: {error}") from error
    except ValidationError as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{folder} has format {manifest.format}; this release reads {FORMAT}")
    if sums != (manifest.dump_sha256, manifest.audio_sha256):
        raise BackupError(f"{folder} was altered or is damaged: a checksum does not fit")
    return manifest


def make_durable(folder: Path) -> None:
    """Have the disk hold the folder and its files before anybody counts on them."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
