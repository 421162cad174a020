"""Services of this machine that listen on its loopback or a socket only, shown to containers."""

from __future__ import annotations

import selectors
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_helpers import running

_CHUNK = 1 << 16


@contextmanager
def forwarded(host: str, target: tuple[str, int] | Path) -> Iterator[int]:
    """The port of ``host`` that leads to ``target``, an address or a Unix socket."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with _connect(target) as other:
                _join(self.request, other)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with running(Server((host, 0), Handler)) as port:
        yield port


def _connect(target: tuple[str, int] | Path) -> socket.socket:
    if isinstance(target, tuple):
        return socket.create_connection(target)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(target))
    return connection


def _join(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                try:
                    chunk = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                except ConnectionError:
                    return
                if not chunk:
                    return
                key.data.sendall(chunk)
