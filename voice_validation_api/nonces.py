"""Which signed requests were accepted, kept in Postgres for all processes of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from voice_validation_api.database import Database

RETENTION_SECONDS: Final = 600.0
"""Far beyond the seconds that a signature stays fresh, by however much machines' clocks differ."""


class PostgresNonces:
    """A ``utilities.chain_auth.NonceStore``."""

    retention = RETENTION_SECONDS

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_and_store(self, hotkey_ss58: str, nonce_ns: int) -> bool:
        """Whether the pair is new; it is remembered from now on.

        Raises DatabaseUnavailableError: then nobody can tell, and the request is to be signed anew.
        """
        params = {
            "hotkey": hotkey_ss58,
            "nonce": nonce_ns,
            "retention": timedelta(seconds=self.retention),
        }
        with self._database.transaction() as transaction:
            return transaction.execute("store_nonce", params) == 1
