"""Writes a backup of the service's database, and the list of the audio that belongs to it.

    python scripts/backup.py --into /backups      makes /backups/speech-20261121T070000Z

The database may be in use: dump, counts and audio list are of one and the same moment. The folder
appears under its name only when it is complete, verified and on disk. The audio itself is not
copied: keep AUDIO_STORE (or VAR_DIR/audio) with rsync, or by the versions of the bucket.
POSTGRES_URL must name the owner of the database. Exit codes: 0 done, 1 no backup was made, 3 no
usable database.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import psycopg2
from backup_database import database_as_it_is, describe
from backup_files import (
    AUDIO,
    DUMP,
    MANIFEST,
    AudioFile,
    BackupError,
    BackupManifest,
    make_durable,
    sha256_of,
)
from postgres_clients import ClientError, find_clients

from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from voice_validation_api.database import connect
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.settings import ServiceSettings

EXIT_NOT_DONE, EXIT_DATABASE = 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Back up; returns the exit code."""
    options = _options(argv)
    settings = ServiceSettings()
    configure_logging("WARNING", secrets=secrets_of(settings))
    try:
        with database_as_it_is(settings) as dsn:
            folder = make_backup(dsn, options.into)
    except NO_USABLE_DATABASE as error:
        sys.stderr.write(f"no usable database (POSTGRES_URL says which one): {error}\n")
        return EXIT_DATABASE
    except (BackupError, ClientError, OSError, psycopg2.Error) as error:
        sys.stderr.write(f"no backup was made: {error}\n")
        return EXIT_NOT_DONE
    print(folder)
    return 0


def make_backup(dsn: str, into: Path) -> Path:
    """A new backup below ``into``; returns its folder.

    Raises BackupError, ClientError, OSError and psycopg2.Error; nothing is left then.
    """
    made_at = datetime.now(timezone.utc)
    folder = into / f"speech-{made_at:%Y%m%dT%H%M%SZ}"
    partial = into / f".{folder.name}.partial"
    if folder.exists():
        raise BackupError(f"{folder} is there already")
    into.mkdir(parents=True, exist_ok=True)
    # It holds everything that the service knows: for nobody else's eyes.
    partial.mkdir(mode=0o700)
    try:
        _write(dsn, partial, made_at)
        make_durable(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(dsn: str, folder: Path, made_at: datetime) -> None:
    with closing(connect(dsn, application="backup")) as connection:
        facts = describe(connection)
        clients = find_clients(facts.major)
        clients.dump(dsn, folder / DUMP, snapshot=facts.snapshot)
        audio_files = _write_audio_list(connection, folder / AUDIO)
    if missing := facts.rows.keys() - clients.tables_in(folder / DUMP):
        raise BackupError(f"the dump lacks the tables {sorted(missing)}")
    manifest = BackupManifest(
        made_at=made_at.isoformat(),
        release_schema=facts.schema,
        postgres_major=facts.major,
        role=facts.role,
        dump_sha256=sha256_of(folder / DUMP),
        audio_sha256=sha256_of(folder / AUDIO),
        audio_files=audio_files,
        rows=facts.rows,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


def _write_audio_list(connection: psycopg2.extensions.connection, path: Path) -> int:
    count = 0
    with connection.cursor("audio") as cursor, path.open("w", encoding="utf-8") as file:
        cursor.execute(
            "SELECT audio, audio_digest FROM samples WHERE audio IS NOT NULL "
            "ORDER BY evaluation_id, prompt_index"
        )
        for audio, digest in cursor:
            file.write(AudioFile(path=audio, sha256=digest).model_dump_json() + "\n")
            count += 1
    return count


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True, help="the directory of all backups")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
