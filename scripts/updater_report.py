"""Has a rollback reported to the validation API. Failing to report stops nothing."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

REPORT_SECONDS = 180.0

log = logging.getLogger("updater")


class Rollback(BaseModel):
    """Version ``failed`` was left for version ``back_to``; both are commits.

    ``back_to_failure`` says why the other does not come up healthy either, if it does not.
    ``unproven``: nothing is wrong with ``failed`` as far as is known; the chain did not answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failed: str
    back_to: str
    reason: str
    back_to_failure: str | None
    unproven: bool = False


Report: TypeAlias = Callable[[Rollback], None]


def reporter(root: Path, validator_flags: Sequence[str]) -> Report:
    """What reports a rollback in the name of the validator that ``validator_flags`` describe.

    It runs a program of the checkout at ``root``, so that the validator's modules are never mixed
    with those of another version, and whatever fails there, the updater goes on.
    """
    command = [sys.executable, str(root / "scripts" / "report_rollback.py"), *validator_flags]

    def report(rollback: Rollback) -> None:
        try:
            subprocess.run(
                command,
                cwd=root,
                # The program is that of the version before, which may not know what is new.
                input=rollback.model_dump_json(exclude_defaults=True),
                text=True,
                check=True,
                timeout=REPORT_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("the rollback is not reported: %s", error)

    return report
