"""Safetensors files made byte by byte, also such as no library writes."""

import json
import struct
from typing import Any

# (dtype, shape, bytes) of one tensor, by name.
RawTensors = dict[str, tuple[str, tuple[int, ...], bytes]]


def safetensors(
    tensors: RawTensors, metadata: dict[str, str] | None = None, *, padding: int = 0
) -> bytes:
    """A file with the tensors in the given order; ``padding`` bytes of it are blanks that move all
    tensors."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = bytearray()
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": offsets}
        data += raw
    return framed(json.dumps(header) + " " * padding, bytes(data))


def framed(header: str, data: bytes) -> bytes:
    """``header``, be it what it may, in a file's frame."""
    return struct.pack("<Q", len(header.encode())) + header.encode() + data


def moved(file: bytes, padding: int) -> bytes:
    """The same file with its tensors ``padding`` bytes further back."""
    (length,) = struct.unpack("<Q", file[:8])
    return framed(file[8 : 8 + length].decode() + " " * padding, file[8 + length :])
