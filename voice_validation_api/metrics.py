"""Where Prometheus reads a program's metrics: a listener of its own, ``GET /metrics``.

Metrics have their own address so that the public one cannot show them, whatever stands before it,
and so that they are read even while the public one is busy. Nothing in them names a miner.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from utilities.http_server import CannotListenError

log = logging.getLogger(__name__)


def new_registry() -> CollectorRegistry:
    """A registry with what every program shows: memory, processor time, open files, collections."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@contextmanager
def metrics_served(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    """Serve ``registry`` in a thread until the block ends; yields the port.

    Port 0 takes any free one. Raises CannotListenError.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise CannotListenError(
            f"metrics cannot listen on {host}:{port}: {error.strerror or error}",
            "Choose an address of this machine and a port that is free.",
        ) from error
    log.info("metrics at http://%s:%d/metrics", host, server.server_port)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
