"""A server that speaks S3, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import fsspec
import httpx2
from moto.server import ThreadedMotoServer

BUCKET = "clips"


@dataclass(frozen=True)
class ObjectStore:
    """A server at ``url`` with one empty bucket."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What its users find in their environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def names(self) -> list[str]:
        """Everything in the bucket."""
        return sorted(self._files().find(BUCKET))

    def read(self, name: str) -> bytes:
        """One object."""
        return bytes(self._files().cat_file(name))

    def make_bucket(self) -> None:
        """Make it, empty."""
        self._files().mkdir(BUCKET)

    def _files(self) -> fsspec.AbstractFileSystem:
        return fsspec.filesystem(
            "s3",
            endpoint_url=self.url,
            key="test-key",
            secret="test-secret",
            client_kwargs={"region_name": "eu-central-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Start one on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        store = ObjectStore(f"http://{host}:{port}")
        # Every such server of one process shows the same objects.
        httpx2.post(f"{store.url}/moto-api/reset").raise_for_status()
        store.make_bucket()
        yield store
    finally:
        server.stop()
