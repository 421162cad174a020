"""A file of tensors, mapped into memory instead of read into it.

A mapping costs no memory of its own: what was read of it is the system's cache of the file, and is
taken back first when memory is short. In return the file must stay what it is for as long as a
tensor lies in it. One that shrinks kills the process (SIGBUS), one that is written to changes the
model. That is a fair price here, because no submission can bring it about: evaluators see models
through a read-only mount, of files that are downloaded under another name and renamed when whole.
`unchanging` tells what happens while a checkpoint is loaded.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.weights_digest import SafetensorsError, TensorEntry

# Below this, a tensor is worth a copy: the kernel maps up to 2 MiB around the page that is touched,
# and between matrices that were let go that would bring them back.
SMALL_BYTES = 1 << 16


class MappedFile:
    """The first ``nbytes`` of an open file. The mapping lasts as long as anything that lies in it.

    It is private: who writes to a tensor gets pages of his own, and the file stays as it is.
    Raises SafetensorsError when the file is shorter.
    """

    def __init__(self, file: BinaryIO, nbytes: int) -> None:
        try:
            self._memory = mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_COPY)
        except ValueError as error:
            raise SafetensorsError(f"the file ends before its last tensor: {error}") from error
        # Read ahead at once: page by page, a file that is not in memory takes twice the time.
        self._memory.madvise(mmap.MADV_WILLNEED)

    def bytes_of(self, entry: TensorEntry) -> memoryview:
        """A tensor's bytes. Their pages are given back when nothing looks at them any more."""
        view = memoryview(self._memory)[entry.offset : entry.offset + entry.nbytes]
        first = -(-entry.offset // mmap.PAGESIZE) * mmap.PAGESIZE
        whole_pages = (entry.offset + entry.nbytes - first) // mmap.PAGESIZE
        if whole_pages > 0:
            # Else a tensor that is converted or joined to others would seem to be there twice.
            advice = (mmap.MADV_DONTNEED, first, whole_pages * mmap.PAGESIZE)
            weakref.finalize(view, self._memory.madvise, *advice).atexit = False
        return view


def tensor_of(data: memoryview, entry: TensorEntry, dtype: torch.dtype) -> Tensor:
    """The tensor whose bytes `MappedFile.bytes_of` gave: it lies in them, or is a copy if it is
    small or the file does not align its numbers.

    How a file aligns its tensors can show in the last bit of a product of a single row.
    """
    if not entry.nbytes:
        return torch.empty(entry.shape, dtype=dtype)
    stays = entry.nbytes >= SMALL_BYTES and entry.offset % dtype.itemsize == 0
    return torch.frombuffer(data if stays else bytearray(data), dtype=dtype).reshape(entry.shape)


@contextmanager
def unchanging(path: Path, file: BinaryIO) -> Iterator[None]:
    """Refuse what was found in an open file if the file changes within the block.

    Raises ScoringError (EVALUATOR_ERROR) then, in place of whatever else went wrong in the block:
    the checkpoint is not to blame for it. Raises OSError when the file is gone.
    """
    before = _identity(os.fstat(file.fileno()))
    try:
        yield
    finally:
        if _identity(path.lstat()) != before:
            raise ScoringError(
                FailureCode.EVALUATOR_ERROR,
                f"{path} was written to or replaced while it was loaded",
                "Find what writes to models in use and stop it; then evaluate again.",
            )


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
