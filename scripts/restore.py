"""Fills an empty database from a backup of scripts/backup.py.

    POSTGRES_URL=... python scripts/restore.py /backups/speech-20261121T070000Z

Stop the service first. POSTGRES_URL names an empty database, as a role of the name that owned the
old one; unset, it is the embedded one below VAR_DIR. Everything is restored or nothing; then the
rows are counted, the schema is brought to this release, and the audio that results refer to is
looked for in AUDIO_STORE. Login roles of workers belong to the server and not to the database: make
them with scripts/worker_role.py. Exit codes: 0 done, 1 not done, 3 no usable database, 4 done, but
audio is missing or its store does not answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
from backup_database import database_as_it_is, table_counts
from backup_files import AUDIO, DUMP, AudioFile, BackupError, BackupManifest, read_manifest
from postgres_clients import ClientError, find_clients

from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from voice_validation_api.audio_base import AudioStore, place_of
from voice_validation_api.audio_store import open_audio_store
from voice_validation_api.database import connect
from voice_validation_api.migrations import WORKER_ROLE, migrate, migrations
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.settings import ServiceSettings

EXIT_NOT_DONE, EXIT_DATABASE, EXIT_AUDIO = 1, 3, 4
NAMED = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Restore; returns the exit code."""
    options = _options(argv)
    settings = ServiceSettings()
    configure_logging("WARNING", secrets=secrets_of(settings))
    try:
        with database_as_it_is(settings) as dsn:
            manifest = restore_backup(options.backup, dsn)
    except NO_USABLE_DATABASE as error:
        sys.stderr.write(f"no usable database (POSTGRES_URL says which one): {error}\n")
        return EXIT_DATABASE
    except (BackupError, ClientError, psycopg2.Error) as error:
        sys.stderr.write(f"not restored: {error}\n")
        return EXIT_NOT_DONE
    print(f"restored {sum(manifest.rows.values())} rows as of {manifest.made_at}")
    try:
        missing = missing_audio(options.backup, open_audio_store(settings))
    except OSError as error:
        sys.stderr.write(f"the audio could not be looked for: {error}\n")
        return EXIT_AUDIO
    if missing:
        named = ", ".join(missing[:NAMED])
        sys.stderr.write(f"AUDIO_STORE lacks the clips of {len(missing)} attempts: {named}\n")
    return EXIT_AUDIO if missing else 0


def restore_backup(folder: Path, dsn: str) -> BackupManifest:
    """Fill the empty database of ``dsn``; returns what was restored.

    Raises BackupError, ClientError, MigrationError, DatabaseUnavailableError and psycopg2.Error.
    """
    manifest = read_manifest(folder)
    if manifest.release_schema > len(migrations()):
        raise BackupError(
            f"the backup has migration {manifest.release_schema}, which this release does not "
            "know: restore it with the release that made it, or a newer one"
        )
    with closing(connect(dsn, application="restore")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            _require_fit(cursor, manifest)
            _make_worker_role(cursor)
        clients = find_clients(connection.server_version // 10_000)
    clients.restore(dsn, folder / DUMP)
    with closing(connect(dsn, application="restore")) as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        if (found := table_counts(cursor)) != manifest.rows:
            raise BackupError(f"{found} rows were restored and not {manifest.rows}")
    migrate(dsn)
    return manifest


def missing_audio(folder: Path, audio: AudioStore) -> list[str]:
    """The places of attempts that the backup lists and the store does not have. Raises OSError."""
    with (folder / AUDIO).open(encoding="utf-8") as lines:
        listed = {str(Path(AudioFile.model_validate_json(line).path).parent) for line in lines}
    there = {str(place_of(a.submission, a.evaluation)) for a in audio.attempts()}
    return sorted(listed - there)


def _require_fit(cursor: psycopg2.extensions.cursor, manifest: BackupManifest) -> None:
    cursor.execute(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
    )
    if cursor.fetchone() != (0,):
        raise BackupError("the database is not empty: create a new one and name it in POSTGRES_URL")
    cursor.execute("SELECT current_user::text")
    (role,) = cursor.fetchone()
    if role != manifest.role:
        raise BackupError(
            f"the backup belongs to the role {manifest.role} and POSTGRES_URL names {role}: the "
            f"rights in it would be another's. CREATE ROLE {manifest.role} LOGIN PASSWORD '...' "
            "and connect as that"
        )


def _make_worker_role(cursor: psycopg2.extensions.cursor) -> None:
    # Roles are not in the dump, and the dump grants this one its rights.
    cursor.execute("SELECT to_regrole(%s)", (WORKER_ROLE,))
    if cursor.fetchone() != (None,):
        return
    try:
        cursor.execute(f"CREATE ROLE {WORKER_ROLE} NOLOGIN")
    except psycopg2.errors.InsufficientPrivilege as error:
        raise BackupError(
            f"this role may not create roles: have an administrator run CREATE ROLE {WORKER_ROLE} "
            "NOLOGIN, then restore again"
        ) from error


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backup", type=Path, help="the folder that scripts/backup.py made")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
