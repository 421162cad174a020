"""How many threads torch uses on the CPU."""

from __future__ import annotations

import os

import torch

# Below this many parameters a step's products are too small to share out: threads then spend
# their time waiting for one another, on a busy machine thirty times that of the work.
SMALL_MODEL = 50_000_000
MAX_THREADS = 16


def pin_threads(parameters: int) -> None:
    """Set torch's threads, for the whole process, to suit a model with so many parameters.

    One for a small model; else one per core that the process may use, or ``OMP_NUM_THREADS`` if
    that is set. What else the machine is doing has no influence, because sums split among another
    number of threads round otherwise.
    """
    torch.set_num_threads(1 if parameters < SMALL_MODEL else _threads_of_a_large_model())


def _threads_of_a_large_model() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)
