"""Serving the chain over websockets, and making its blocks as time passes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from devnet_chain import Chain
from devnet_extrinsic import extrinsic_hash
from devnet_rpc import Rpc, RpcError
from devnet_store import Block
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

MAX_MESSAGE_BYTES: Final = 1 << 20
_HEADS: Final = {
    "chain_subscribeNewHeads": "chain_newHead",
    "chain_subscribeNewHead": "chain_newHead",
    "chain_subscribeFinalizedHeads": "chain_finalizedHead",
}
_WATCH: Final = "author_submitAndWatchExtrinsic"
_PARSE_ERROR: Final = -32_700


@dataclass(eq=False)
class _Client:
    """One connection, what it follows, and what waits to be sent to it."""

    connection: ServerConnection
    heads: dict[str, str] = field(default_factory=dict)
    watched: dict[bytes, str] = field(default_factory=dict)

    async def send(self, message: dict[str, Any]) -> None:
        """Send, unless it has gone."""
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(json.dumps({"jsonrpc": "2.0", **message}))

    async def notify(self, method: str, subscription: str, result: object) -> None:
        """Send an update of a subscription."""
        params = {"subscription": subscription, "result": result}
        await self.send({"method": method, "params": params})


class Server:
    """Answers clients. ``block_seconds`` None: a block per extrinsic and per dev_advance only."""

    def __init__(self, chain: Chain, rpc: Rpc, *, block_seconds: float | None) -> None:
        self._chain = chain
        self._rpc = rpc
        self._block_seconds = block_seconds
        self._clients: set[_Client] = set()
        self._announced = chain.head.number

    async def run(self, bound: socket.socket, on_start: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with serve(self._serve, sock=bound, max_size=MAX_MESSAGE_BYTES):
            on_start()
            tasks: set[asyncio.Task[object]] = {asyncio.create_task(stop.wait())}
            if self._block_seconds is not None:
                tasks.add(asyncio.create_task(self._tick(self._block_seconds)))
            done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
            for task in done:
                task.result()

    async def _tick(self, block_seconds: float) -> None:
        while True:
            await asyncio.sleep(block_seconds)
            self._chain.advance()
            await self._announce()

    async def _serve(self, connection: ServerConnection) -> None:
        client = _Client(connection)
        self._clients.add(client)
        try:
            async for message in connection:
                await self._handle(client, message)
        except ConnectionClosed:
            return
        finally:
            self._clients.discard(client)

    async def _handle(self, client: _Client, message: str | bytes) -> None:
        try:
            request = json.loads(message)
            identifier, method = request["id"], str(request["method"])
        except (ValueError, TypeError, KeyError):
            error = {"code": _PARSE_ERROR, "message": "Parse error"}
            await client.send({"id": None, "error": error})
            return
        try:
            result = self._answer(client, method, request.get("params") or [])
        except RpcError as error:
            body = {"code": error.code, "message": error.message, "data": error.data}
            await client.send({"id": identifier, "error": body})
            return
        await client.send({"id": identifier, "result": result})
        if self._block_seconds is None and self._chain.pending:
            self._chain.advance()
        await self._announce()

    def _answer(self, client: _Client, method: str, params: Any) -> object:
        if method in _HEADS:
            subscription = secrets.token_hex(8)
            client.heads[subscription] = _HEADS[method]
            return subscription
        if method == _WATCH:
            extrinsic = bytes.fromhex(self._rpc.answer("author_submitExtrinsic", params)[2:])
            client.watched[extrinsic] = secrets.token_hex(8)
            return client.watched[extrinsic]
        if method.startswith(("chain_unsubscribe", "author_unwatch")):
            for subscription in map(str, params):
                client.heads.pop(subscription, None)
            return True
        return self._rpc.answer(method, params)

    async def _announce(self) -> None:
        """Tell every client of the blocks since the last time."""
        for block in self._new_blocks():
            header = self._rpc.header(block)
            included = [extrinsic_hash(raw) for raw in block.extrinsics]
            for client in list(self._clients):
                for subscription, method in list(client.heads.items()):
                    await client.notify(method, subscription, header)
                for extrinsic in included:
                    if subscription := client.watched.pop(extrinsic, ""):
                        await self._tell_included(client, subscription, block)

    async def _tell_included(self, client: _Client, subscription: str, block: Block) -> None:
        for status in ("inBlock", "finalized"):
            result = {status: "0x" + block.hash.hex()}
            await client.notify("author_extrinsicUpdate", subscription, result)

    def _new_blocks(self) -> Iterator[Block]:
        while self._announced < self._chain.head.number:
            self._announced += 1
            block = self._chain.block_numbered(self._announced)
            assert block is not None
            yield block
