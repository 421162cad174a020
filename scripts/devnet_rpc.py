"""The JSON-RPC methods of a node, as far as clients of the chain ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import devnet_control
import devnet_subtensor
from devnet_chain import Chain, extrinsics_root
from devnet_extrinsic import InvalidExtrinsicError
from devnet_pallets import SPEC_NAME, SPEC_VERSION, TRANSACTION_VERSION
from devnet_scale import MalformedScaleError, Reader, sequence, sized, uint
from devnet_state import DispatchError
from devnet_store import Block, DevnetStore

MAX_KEYS: Final = 1_000
METADATA_VERSION: Final = 15

_METHOD_NOT_FOUND, _INVALID_PARAMS = -32_601, -32_602
_INVALID_TRANSACTION: Final = 1_010
_CLIENT_ERROR: Final = 4_003


class RpcError(Exception):
    """An answer with an error in it."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Rpc:
    """Answers requests about one chain."""

    def __init__(self, chain: Chain, store: DevnetStore) -> None:
        self._chain = chain
        self._store = store
        self._methods: Mapping[str, Callable[..., Any]] = {
            "account_nextIndex": chain.next_nonce,
            "author_submitExtrinsic": self.submit,
            "chain_getBlock": self._block,
            "chain_getBlockHash": self._block_hash,
            "chain_getFinalizedHead": self._head,
            "chain_getHead": self._head,
            "chain_getHeader": self._header,
            "state_call": self._state_call,
            "state_getKeysPaged": self._keys,
            "state_getRuntimeVersion": self._runtime_version,
            "state_getStorageAt": self._storage,
            "state_queryStorageAt": self._query_storage,
        }

    def answer(self, method: str, params: Any) -> Any:
        """The result of one request. Raises RpcError."""
        if method in devnet_control.METHODS:
            return self._control(method, params)
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(_METHOD_NOT_FOUND, f"Method not found: {method:.100}")
        if not isinstance(params, list):
            raise RpcError(_INVALID_PARAMS, "Invalid params", "a list is expected")
        try:
            return handler(*params)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise RpcError(_INVALID_PARAMS, "Invalid params", str(error)) from error

    def submit(self, raw: str) -> str:
        """Take an extrinsic into the pool; its hash."""
        try:
            return _hex(self._chain.submit(_bytes(raw)).hash)
        except InvalidExtrinsicError as error:
            raise RpcError(_INVALID_TRANSACTION, "Invalid Transaction", str(error)) from error

    def header(self, block: Block) -> dict[str, Any]:
        """A block's header as clients see it."""
        return {
            "parentHash": _hex(block.parent),
            "number": hex(block.number),
            "stateRoot": _hex(block.changes),
            "extrinsicsRoot": _hex(extrinsics_root(block.extrinsics)),
            "digest": {"logs": []},
        }

    def _control(self, method: str, params: Any) -> int:
        parameters, handler = devnet_control.METHODS[method]
        try:
            return handler(self._chain, parameters.model_validate(params or {}))
        except (ValueError, TypeError, OverflowError, DispatchError) as error:
            raise RpcError(_INVALID_PARAMS, f"{method}: {error}") from error

    def _at(self, block_hash: str | None) -> Block:
        if block_hash is None:
            return self._chain.head
        block = self._chain.block_hashed(_bytes(block_hash))
        if block is None:
            raise RpcError(_CLIENT_ERROR, f"Client error: UnknownBlock: {block_hash:.70}")
        return block

    def _head(self) -> str:
        return _hex(self._chain.head.hash)

    def _block_hash(self, number: int | None = None) -> str | None:
        if number is None:
            return self._head()
        block = self._chain.block_numbered(int(number))
        return None if block is None else _hex(block.hash)

    def _header(self, block_hash: str | None = None) -> dict[str, Any] | None:
        block = self._chain.head
        if block_hash is not None:
            found = self._chain.block_hashed(_bytes(block_hash))
            if found is None:
                return None
            block = found
        return self.header(block)

    def _block(self, block_hash: str | None = None) -> dict[str, Any]:
        block = self._at(block_hash)
        extrinsics = [_hex(raw) for raw in block.extrinsics]
        return {"block": {"header": self.header(block), "extrinsics": extrinsics}}

    def _runtime_version(self, block_hash: str | None = None) -> dict[str, Any]:
        self._at(block_hash)
        return {
            "specName": SPEC_NAME,
            "implName": SPEC_NAME,
            "specVersion": SPEC_VERSION,
            "implVersion": 1,
            "authoringVersion": 1,
            "transactionVersion": TRANSACTION_VERSION,
            "apis": [],
        }

    def _storage(self, key: str, block_hash: str | None = None) -> str | None:
        value = self._store.read(_bytes(key), self._at(block_hash).number)
        return None if value is None else _hex(value)

    def _query_storage(self, keys: list[str], block_hash: str | None = None) -> list[Any]:
        block = self._at(block_hash)
        changes = [[key, self._storage(key, _hex(block.hash))] for key in keys]
        return [{"block": _hex(block.hash), "changes": changes}]

    def _keys(
        self, prefix: str, count: int, start: str | None = None, block_hash: str | None = None
    ) -> list[str]:
        if not 0 < count <= MAX_KEYS:
            raise RpcError(_INVALID_PARAMS, f"count is not a number from 1 to {MAX_KEYS}")
        after = _bytes(start) if start else b""
        at = self._at(block_hash).number
        return [
            _hex(key) for key in self._store.keys(_bytes(prefix), at, after=after, limit=int(count))
        ]

    def _state_call(self, method: str, params: str, block_hash: str | None = None) -> str:
        block, reader = self._at(block_hash), Reader(_bytes(params))
        try:
            if method == "Metadata_metadata_at_version":
                known = reader.uint(4) == METADATA_VERSION
                return _hex(b"\x01" + sized(self._chain.metadata) if known else b"\x00")
            if method == "SubnetInfoRuntimeApi_get_metagraph":
                return _hex(self._metagraph(block, reader.uint(2)))
        except MalformedScaleError as error:
            raise RpcError(_CLIENT_ERROR, f"Client error: Execution failed: {error}") from error
        if method == "SwapRuntimeApi_current_alpha_price_all":
            return _hex(sequence(()))
        if method == "TransactionPaymentApi_query_info":
            no_weight, normal, no_fee = b"\x00\x00", b"\x00", uint(0, 8)
            return _hex(no_weight + normal + no_fee)
        raise RpcError(_CLIENT_ERROR, f"Client error: Exported method {method:.100} is not found")

    def _metagraph(self, block: Block, netuid: int) -> bytes:
        output = self._chain.runtime.runtime_api_map()["SubnetInfoRuntimeApi"]["get_metagraph"]
        value = devnet_subtensor.metagraph(self._chain.state(block), netuid)
        if value is None:
            return b"\x00"
        return bytes(self._chain.runtime.encode(output["output"], value))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
