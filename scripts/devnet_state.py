"""Chain state as the runtime sees it: storage items by name, events, dispatch errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devnet_pallets import Pallet
from devnet_store import DevnetStore


class DispatchError(Exception):
    """A call fails with an error of its pallet, or with ``BadOrigin``."""

    def __init__(self, pallet: str, name: str) -> None:
        super().__init__(f"{pallet}.{name}")
        self.pallet = pallet
        self.name = name


class State:
    """The state after one block. Writing belongs to the block being made."""

    def __init__(self, store: DevnetStore, runtime: Any, block: int) -> None:
        self._store = store
        self._runtime = runtime
        self.block = block
        self._events: list[dict[str, Any]] = []
        self._entries: dict[tuple[str, str], Any] = {}

    def get(self, pallet: str, item: str, *keys: object) -> Any:
        """The decoded value; the item's default, or None, where there is none."""
        entry = self._entry(pallet, item)
        raw = self.raw(pallet, item, *keys)
        if raw is None and entry.modifier == "Optional":
            return None
        return self._runtime.decode(entry.value_type, entry.default_bytes if raw is None else raw)

    def put(self, pallet: str, item: str, *keys: object, value: object) -> None:
        """Write a value."""
        encoded = self._runtime.encode(self._entry(pallet, item).value_type, value)
        self.put_raw(pallet, item, *keys, value=bytes(encoded))

    def raw(self, pallet: str, item: str, *keys: object) -> bytes | None:
        """The encoded value, if there is one."""
        return self._store.read(self._key(pallet, item, *keys), self.block)

    def put_raw(self, pallet: str, item: str, *keys: object, value: bytes | None) -> None:
        """Write an encoded value; None removes it."""
        self._store.write(self._key(pallet, item, *keys), value, self.block)

    def keys(self, pallet: str, item: str, *prefix: object) -> list[tuple[Any, ...]]:
        """The keys under ``prefix`` that have a value, without the prefix."""
        found = self._store.keys(self._key(pallet, item, *prefix), self.block)
        decode = self._runtime.decode_storage_key_params
        return [tuple(decode(pallet, item, key, len(prefix))) for key in found]

    def deposit_event(
        self, pallet: str, event: str, fields: Mapping[str, object] | tuple[object, ...]
    ) -> None:
        """Tell of something that the extrinsic, or the block itself, did."""
        body = dict(fields) if isinstance(fields, Mapping) else fields
        self._events.append({pallet: {event: body}})

    def take_events(self) -> list[dict[str, Any]]:
        """The events since the last call."""
        taken, self._events = self._events, []
        return taken

    def _entry(self, pallet: str, item: str) -> Any:
        if (pallet, item) not in self._entries:
            self._entries[pallet, item] = self._runtime.storage_entry(pallet, item)
        return self._entries[pallet, item]

    def _key(self, pallet: str, item: str, *keys: object) -> bytes:
        return bytes(self._runtime.storage_key(pallet, item, list(keys)))


def error_value(pallets: Mapping[str, Pallet], error: DispatchError) -> object:
    """A dispatch error as events carry it."""
    if error.pallet == "System":
        return error.name
    pallet = pallets[error.pallet]
    index = pallet.errors[error.name]
    return {"Module": {"index": pallet.index, "error": [index, 0, 0, 0]}}
