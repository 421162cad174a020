"""The type registry of runtime metadata, filled by asking for type expressions.

``u16``, ``Vec<T>``, ``Option<T>``, ``Compact<T>``, ``[T; 32]``, ``(A, B)`` and the names of a
table of structs and enums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from devnet_scale import compact, sequence, text, uint

PRIMITIVES: Final = ("bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256")
PRIMITIVES_SIGNED: Final = ("i8", "i16", "i32", "i64", "i128", "i256")

Fields: TypeAlias = Mapping[str, str] | tuple[str, ...]
"""Type expressions of fields, by name or by position."""


@dataclass(frozen=True)
class Struct:
    """A record. ``path`` is the name by which codecs recognise special types."""

    fields: Fields
    path: str = ""


@dataclass(frozen=True)
class Enum:
    """A choice: the fields of each variant by name, after the variant's index."""

    variants: Mapping[str, tuple[int, Fields]]
    path: str = ""


Named: TypeAlias = Mapping[str, Struct | Enum]

_COMPOSITE, _VARIANT, _SEQUENCE, _ARRAY, _TUPLE, _PRIMITIVE, _COMPACT = range(7)


@dataclass
class TypeRegistry:
    """Gives every type expression a number and remembers its definition."""

    named: Named
    _ids: dict[str, int] = field(default_factory=dict)
    _definitions: list[bytes] = field(default_factory=list)

    def id_of(self, expression: str) -> int:
        """The number of a type, which is defined on first use. Raises KeyError: no such name."""
        expression = " ".join(expression.split())
        if expression not in self._ids:
            self._ids[expression] = len(self._definitions)
            self._definitions.append(b"")
            self._definitions[self._ids[expression]] = self._define(expression)
        return self._ids[expression]

    def encode(self) -> bytes:
        """The portable registry."""
        return sequence(compact(i) + body for i, body in enumerate(self._definitions))

    def _define(self, expression: str) -> bytes:
        primitives = PRIMITIVES + PRIMITIVES_SIGNED
        if expression in primitives:
            return _type("", _PRIMITIVE, uint(primitives.index(expression), 1))
        if expression.startswith("("):
            parts = _split(expression[1:-1])
            return _type("", _TUPLE, sequence(compact(self.id_of(part)) for part in parts))
        if expression.startswith("["):
            of, length = expression[1:-1].rsplit(";", 1)
            return _type("", _ARRAY, uint(int(length), 4) + compact(self.id_of(of)))
        if expression.endswith(">"):
            return self._define_generic(*expression[:-1].split("<", 1))
        definition = self.named[expression]
        path = definition.path or expression
        if isinstance(definition, Struct):
            return _type(path, _COMPOSITE, self._fields(definition.fields))
        variants = (
            text(name) + self._fields(fields) + uint(index, 1) + sequence(())
            for name, (index, fields) in definition.variants.items()
        )
        return _type(path, _VARIANT, sequence(variants))

    def _define_generic(self, generic: str, argument: str) -> bytes:
        of = compact(self.id_of(argument))
        if generic == "Vec":
            return _type("", _SEQUENCE, of)
        if generic == "Compact":
            return _type("", _COMPACT, of)
        if generic == "Option":
            none = text("None") + sequence(()) + uint(0, 1) + sequence(())
            some = text("Some") + self._fields((argument,)) + uint(1, 1) + sequence(())
            parameter = text("T") + uint(1, 1) + of
            return _type("Option", _VARIANT, sequence((none, some)), (parameter,))
        raise KeyError(f"{generic}<{argument}>")

    def _fields(self, fields: Fields) -> bytes:
        if isinstance(fields, tuple):
            return sequence(self._field(None, expression) for expression in fields)
        return sequence(self._field(name, expression) for name, expression in fields.items())

    def _field(self, name: str | None, expression: str) -> bytes:
        label = uint(0, 1) if name is None else uint(1, 1) + text(name)
        no_type_name, no_docs = uint(0, 1), sequence(())
        return label + compact(self.id_of(expression)) + no_type_name + no_docs


def _type(path: str, kind: int, definition: bytes, parameters: tuple[bytes, ...] = ()) -> bytes:
    segments = sequence(text(part) for part in path.split("::")) if path else sequence(())
    return segments + sequence(parameters) + uint(kind, 1) + definition + sequence(())


def _split(expressions: str) -> list[str]:
    """Split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(expressions):
        depth += (letter in "<([") - (letter in ">)]")
        if letter == "," and depth == 0:
            parts.append(expressions[start:position])
            start = position + 1
    parts.append(expressions[start:])
    return [part.strip() for part in parts if part.strip()]
