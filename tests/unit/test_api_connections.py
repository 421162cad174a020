"""How many connections fit; what happens to them is tried against the running API."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource
from voice_validation_api.api_connections import connections_that_fit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(connections_that_fit(1_000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "fit", "raised"),
    [(256, 4_000, 1_000, 1_200), (2_000, 4_000, 1_000, 2_000), (256, 300, 150, 300)],
)
def test_as_many_as_there_may_be_files_open(soft: int, hard: int, fit: int, raised: int) -> None:
    # Limits that were lowered cannot be raised again: a process of its own.
    code = ASK.format(soft=soft, hard=hard)
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.split() == [str(fit), str(raised)]
