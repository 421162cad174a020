"""A real Postgres for every test that asks: one server per session, one fresh database per test.

``TEST_POSTGRES_URL`` names another server to run the tests on, by a role that may create
databases; without it the embedded one is started.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hub_helpers import RunningHub, running_hub
from psycopg2.extensions import make_dsn
from service_helpers import fresh_database, open_directory, run_sql
from worker_bench import Bench

from voice_validation_api.database import Database
from voice_validation_api.migrations import migrate
from voice_validation_api.postgres_server import embedded_server
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue


@pytest.fixture(scope="session")
def initialised() -> Iterator[Path]:
    """A data directory with a stopped server, to be copied: making one means many syncs."""
    with open_directory() as path:
        with embedded_server(path) as dsn:
            # Tests end processes, not machines: what the kernel holds is safe.
            run_sql(dsn, "ALTER SYSTEM SET fsync = off")
        yield path


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The connection string of a server."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    with open_directory() as home:
        _copy(request.getfixturevalue("initialised"), home)
        with embedded_server(home) as dsn:
            yield dsn


@pytest.fixture
def var_dir(initialised: Path) -> Iterator[Path]:
    """A data directory of its own for the embedded server, which was there before and stopped."""
    with open_directory() as home:
        _copy(initialised, home)
        yield home


@pytest.fixture
def new_var_dir() -> Iterator[Path]:
    """An empty data directory that the server's account can enter."""
    with open_directory() as home:
        yield home


def _copy(initialised: Path, into: Path) -> None:
    subprocess.run(["cp", "-a", f"{initialised}/.", str(into)], check=True)


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """The name of a database that holds our schema and nothing else."""
    name = f"template_{secrets.token_hex(6)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    migrate(make_dsn(server, dbname=name))
    yield name
    run_sql(server, f"DROP DATABASE {name}")


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """The connection string of a fresh database with our schema."""
    with fresh_database(server, template) as dsn:
        yield dsn


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """A pool on a fresh database."""
    database = Database(dsn, size=4, application="tests")
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    """A store on a fresh database."""
    return Store(database)


@pytest.fixture
def queue(database: Database) -> SubmissionQueue:
    """A worker's side of the queue on the database of ``store``."""
    return SubmissionQueue(database, worker_id="worker-a", lease=timedelta(seconds=60))


@pytest.fixture(scope="module")
def worker_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub from which the worker of ``bench`` downloads."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def bench(
    dsn: str, database: Database, store: Store, worker_hub: RunningHub, tmp_path: Path
) -> Bench:
    """A worker on a fresh database."""
    return Bench(dsn, database, store, worker_hub, tmp_path)


@pytest.fixture(scope="session")
def pm2_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PM2 as npm installs it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so PM2 cannot be")
    where = tmp_path_factory.mktemp("pm2")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(where), "pm2@7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install PM2: {done.stderr[-300:]}")
    return where / "node_modules" / ".bin"
