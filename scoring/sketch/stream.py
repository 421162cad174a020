"""Fixed numbers that look random: the same on every machine and with every release of numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SKETCH_VERSION = 1
"""Names all questions and projections: other ones are another version."""


def fixed_numbers(what: int, count: int) -> NDArray[np.uint64]:
    """The first ``count`` 64-bit numbers of stream ``what``.

    Raw output of the generator: numpy promises that this never changes, unlike what is drawn by it.
    """
    raw = np.random.Philox(key=[SKETCH_VERSION, what]).random_raw(count)
    return np.asarray(raw, dtype=np.uint64)
