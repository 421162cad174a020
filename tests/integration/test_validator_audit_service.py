"""The service itself under audit: what its worker evaluated, its keeper signed, its API shows."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from devnet_helpers import new_wallet, running_devnet
from round_subnet import Subnet
from service_helpers import run_sql
from service_processes import ADMIN_KEY, RunningApi, running_api
from worker_bench import Bench

from neurons.audit_settings import AuditSettings
from neurons.service_api import ServiceApi
from neurons.validator_audit import Auditor
from neurons.validator_audit_book import AuditBook
from neurons.validator_audit_fetch import Published
from scoring.competition import RoundSnapshot
from scripts.make_miniature import make_miniature
from utilities.chain import Chain
from utilities.hub import Hub

EVALUATOR = """
import runpy
runpy.run_module("scoring.entrypoint", run_name="__main__")
"""


class MiniatureBench(Bench):
    """A bench whose models can speak."""

    def publish(self, name: str) -> str:
        directory = self.path / "miniature"
        make_miniature(directory, seed=1)
        files = {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}
        return self.hub.publish(name, files)


@pytest.fixture
def subnet(bench: Bench, tmp_path: Path) -> Iterator[Subnet]:
    speaking = MiniatureBench(bench.dsn, bench.database, bench.store, bench.hub, bench.path)
    with running_devnet(tmp_path / "devnet") as devnet, Chain(devnet.url) as chain:
        yield Subnet(devnet, chain, speaking, tmp_path, new_wallet(tmp_path, "service"))


@pytest.fixture
def api(subnet: Subnet, tmp_path: Path) -> Iterator[RunningApi]:
    environment = {
        "POSTGRES_URL": subnet.bench.dsn,
        "ADMIN_KEY": ADMIN_KEY,
        "VAR_DIR": str(tmp_path / "var"),
        "API_DATABASE_CONNECTIONS": "2",
    }
    with running_api(environment, tmp_path / "api.log") as running:
        yield running


def audited(api: RunningApi, subnet: Subnet, snapshot: RoundSnapshot, place: Path) -> AuditBook:
    """The book of a validator that audits everything, and lets the model speak."""
    settings = AuditSettings(audit_rate=1.0, audit_speak=True, audit_python=Path(sys.executable))
    books = []
    with closing(ServiceApi(str(api.client.base_url).rstrip("/"))) as client:
        Auditor(
            published=Published(client, pause=lambda _: None),
            hub=Hub(endpoint=subnet.bench.hub.url),
            settings=settings,
            device="cpu",
            hotkey="validator",
            place=place,
        ).audit(
            snapshot,
            AuditBook(),
            block=snapshot.closed_block,
            excluded=(),
            has_time=lambda: True,
            remember=books.append,
            tell=lambda error, **more: None,
        )
    return books[-1]


@pytest.mark.slow
def test_the_service_passes_and_is_found_out_where_its_database_was_doctored(
    api: RunningApi, subnet: Subnet, tmp_path: Path
) -> None:
    submission = subnet.commit("speaks")
    snapshot = subnet.published(subnet.through_round(program=EVALUATOR))
    assert audited(api, subnet, snapshot, tmp_path / "one").verdicts == {submission.id: "passed"}
    protocol = api.client.get(f"/protocols/{snapshot.protocol_digest}")
    assert hashlib.sha256(protocol.content).hexdigest() == snapshot.protocol_digest
    assert protocol.json()["code"].keys() == {"engine", "asr", "metrics", "prompts", "formula"}

    run_sql(
        subnet.bench.dsn,
        "UPDATE samples SET errors = jsonb_set(errors, '{deletions}', '0') WHERE prompt_index = 0",
    )
    book = audited(api, subnet, snapshot, tmp_path / "two")
    assert book.verdicts == {submission.id: "failed"}
