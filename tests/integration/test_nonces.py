"""Which signatures were accepted, on a real Postgres."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from service_helpers import run_sql

from voice_validation_api.database import Database
from voice_validation_api.nonces import RETENTION_SECONDS, PostgresNonces

NONCE = 1_780_000_000_000_000_000


def test_a_pair_is_new_once_whichever_process_asks(dsn: str) -> None:
    with (
        closing(Database(dsn, size=4, application="one")) as one,
        closing(Database(dsn, size=4, application="other")) as other,
        ThreadPoolExecutor(8) as threads,
    ):
        stores = [PostgresNonces(one), PostgresNonces(other)] * 10
        asked = [threads.submit(store.check_and_store, "alice", NONCE) for store in stores]
        assert sum(future.result() for future in asked) == 1
        assert stores[0].check_and_store("alice", NONCE + 1)
        assert stores[1].check_and_store("bob", NONCE)


def test_old_ones_are_forgotten_and_fresh_ones_kept(dsn: str, database: Database) -> None:
    nonces = PostgresNonces(database)
    for number in range(5):
        nonces.check_and_store("alice", NONCE + number)
    run_sql(
        dsn,
        "UPDATE report_nonces SET stored_at = now() - make_interval(secs => %s) WHERE nonce < %s",
        RETENTION_SECONDS + 1,
        NONCE + 3,
    )
    nonces.check_and_store("bob", NONCE)
    left = run_sql(dsn, "SELECT hotkey, nonce FROM report_nonces ORDER BY hotkey, nonce")
    assert left == [("alice", NONCE + 3), ("alice", NONCE + 4), ("bob", NONCE)]
