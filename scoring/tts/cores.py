"""How an evaluation shares out the cores that it may use."""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def usable_cores() -> int:
    """``OMP_NUM_THREADS``, by which a launcher says what its limits leave; else those of the
    process."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0))


def one_blas_thread() -> None:
    """Let numpy's matrix products take one thread, for the whole process.

    The figures of an evaluation then do not depend on the number of cores, because products split
    among threads round otherwise; and stages that run at the same time do not crowd each other.
    """
    threadpool_limits(limits=1, user_api="blas")
