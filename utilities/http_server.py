"""Serving an ASGI application as a program: bind, run, stop cleanly."""

from __future__ import annotations

import errno
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from utilities.errors import SubnetError

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_SECONDS = 10
BACKLOG = 2_048


class CannotListenError(SubnetError):
    """The address cannot be listened on."""

    code: ClassVar[str] = "CANNOT_LISTEN"


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes any free one. Raises CannotListenError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListenError(
                f"port {port} on {host} is taken by another program",
                "Stop that program or choose another port.",
            ) from error
        raise CannotListenError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "Choose an address of this machine and a port that you may use.",
        ) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a bound socket can be reached from this machine."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: Callable[..., Any],
    bound: socket.socket,
    *,
    protocol: Any = "auto",
    trusted_proxies: str = "127.0.0.1",
) -> bool:
    """Run ``app`` until SIGINT or SIGTERM; requests in progress get ten seconds to end.

    ``protocol`` makes uvicorn's protocol of one connection. ``trusted_proxies``: addresses and
    networks, with commas between, whose X-Forwarded-For is believed. Returns whether the
    application started.
    """
    # The server's package is not part of the base install.
    import uvicorn  # noqa: PLC0415

    # The server sends itself the signal again when it has shut down: that must not look like a
    # crash, nor end the program before its own cleaning up.
    signal.signal(signal.SIGTERM, _interrupt)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=64 * 1_024,
            http=protocol,
            ws="none",
            forwarded_allow_ips=trusted_proxies,
        )
    )
    try:
        server.run(sockets=[bound])
    except KeyboardInterrupt:
        return True
    return server.started


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
