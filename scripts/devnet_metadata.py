"""Runtime metadata, version 15, of the rehearsal chain: the table of pallets, encoded.

The layout is that of frame-metadata's ``RuntimeMetadataV15``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devnet_pallets import RUNTIME_APIS, SIGNED_EXTENSIONS, Item, Pallet
from devnet_registry import Enum, Fields, Named, TypeRegistry
from devnet_scale import compact, sequence, sized, text, uint
from devnet_types import NAMED

MAGIC: Final = b"meta"
VERSION: Final = 15
EXTRINSIC_VERSION: Final = 4

_HASHERS: Final = (
    "Blake2_128",
    "Blake2_256",
    "Blake2_128Concat",
    "Twox128",
    "Twox256",
    "Twox64Concat",
    "Identity",
)
_NO_DOCS: Final = sequence(())


def encode_metadata(pallets: Sequence[Pallet]) -> bytes:
    """The metadata of a runtime with these pallets, with its magic number and version."""
    types = TypeRegistry(_with_outer_enums(pallets))

    def type_id(expression: str) -> bytes:
        return compact(types.id_of(expression))

    body = sequence(_pallet(types, pallet) for pallet in pallets)
    body += uint(EXTRINSIC_VERSION, 1)
    body += b"".join(map(type_id, ("MultiAddress", "RuntimeCall", "MultiSignature", "()")))
    body += sequence(
        text(name) + type_id(included) + type_id(additional)
        for name, included, additional in SIGNED_EXTENSIONS
    )
    body += type_id("()")
    body += sequence(_runtime_api(types, name) for name in RUNTIME_APIS)
    body += b"".join(map(type_id, ("RuntimeCall", "RuntimeEvent", "RuntimeError")))
    body += sequence(())  # custom values
    return MAGIC + uint(VERSION, 1) + types.encode() + body


def _with_outer_enums(pallets: Sequence[Pallet]) -> Named:
    """The named types and, per pallet and for the runtime, the enums of calls, events, errors."""
    named = dict(NAMED)
    outer: dict[str, dict[str, tuple[int, Fields]]] = {"Call": {}, "Event": {}, "Error": {}}
    for pallet in pallets:
        errors: dict[str, tuple[int, Fields]] = {
            name: (index, ()) for name, index in pallet.errors.items()
        }
        for kind, variants in (("Call", pallet.calls), ("Event", pallet.events), ("Error", errors)):
            if variants:
                name = f"{pallet.name}{kind}"
                named[name] = Enum(variants, f"{pallet.name}::pallet::{kind}")
                outer[kind][pallet.name] = (pallet.index, (name,))
    for kind, members in outer.items():
        named[f"Runtime{kind}"] = Enum(members, f"node_subtensor_runtime::Runtime{kind}")
    return named


def _pallet(types: TypeRegistry, pallet: Pallet) -> bytes:
    def maybe(kind: str, variants: object) -> bytes:
        if not variants:
            return uint(0, 1)
        return uint(1, 1) + compact(types.id_of(f"{pallet.name}{kind}"))

    storage = uint(0, 1)
    if pallet.storage:
        items = sequence(_item(types, item) for item in pallet.storage)
        storage = uint(1, 1) + text(pallet.name) + items
    constants = sequence(
        text(name) + compact(types.id_of(expression)) + sized(value) + _NO_DOCS
        for name, (expression, value) in pallet.constants.items()
    )
    return b"".join(
        (
            text(pallet.name),
            storage,
            maybe("Call", pallet.calls),
            maybe("Event", pallet.events),
            constants,
            maybe("Error", pallet.errors),
            uint(pallet.index, 1),
            _NO_DOCS,
        )
    )


def _item(types: TypeRegistry, item: Item) -> bytes:
    modifier = uint(0 if item.default is None else 1, 1)
    value = compact(types.id_of(item.value))
    kind = uint(0, 1) + value
    if item.keys:
        keys = [expression for _, expression in item.keys]
        key = types.id_of(keys[0] if len(keys) == 1 else f"({', '.join(keys)})")
        hashers = sequence(uint(_HASHERS.index(hasher), 1) for hasher, _ in item.keys)
        kind = uint(1, 1) + hashers + compact(key) + value
    default = sized(item.default if item.default is not None else b"\x00")
    return text(item.name) + modifier + kind + default + _NO_DOCS


def _runtime_api(types: TypeRegistry, name: str) -> bytes:
    methods = sequence(
        text(method)
        + sequence(text(key) + compact(types.id_of(of)) for key, of in inputs.items())
        + compact(types.id_of(output))
        + _NO_DOCS
        for method, (inputs, output) in RUNTIME_APIS[name].items()
    )
    return text(name) + methods + _NO_DOCS
