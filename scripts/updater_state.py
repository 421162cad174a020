"""What the auto-updater remembers between its runs, and what it would install next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from updater_checkout import Version

from utilities.errors import SubnetError

MAX_REMEMBERED = 1_000


class StateError(SubnetError):
    """The state file cannot be read or written."""

    code = "UPDATER_STATE"


class Trial(BaseModel):
    """A version that was checked out and has not proved itself yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str


class State(BaseModel):
    """``seen``: when each version was first fetched, in Unix seconds. ``bad``: why one failed.

    ``unproven``: versions that could not be judged, for the chain did not answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trial: Trial | None = None
    seen: dict[str, float] = Field(default_factory=dict)
    bad: dict[str, str] = Field(default_factory=dict)
    unproven: tuple[str, ...] = ()

    def with_seen(self, versions: Sequence[Version], now: float) -> State:
        """The state after ``versions`` were fetched at ``now``."""
        new = {v.commit: now for v in versions if v.commit not in self.seen}
        seen = dict(list({**self.seen, **new}.items())[-MAX_REMEMBERED:])
        return self.model_copy(update={"seen": seen})

    def with_trial(self, trial: Trial | None) -> State:
        """The state while ``trial`` runs."""
        return self.model_copy(update={"trial": trial})

    def with_bad(self, commit: str, reason: str) -> State:
        """The state after ``commit`` failed: it is not tried again, and no trial runs."""
        bad = dict(list({**self.bad, commit: reason}.items())[-MAX_REMEMBERED:])
        return self.model_copy(update={"bad": bad, "trial": None})

    def with_unproven(self, commit: str) -> State:
        """The state after ``commit`` could not be judged: no trial runs."""
        others = [one for one in self.unproven if one != commit]
        unproven = (*others, commit)[-MAX_REMEMBERED:]
        return self.model_copy(update={"unproven": unproven, "trial": None})

    def next_version(
        self, versions: Sequence[Version], *, now: float, delay: timedelta
    ) -> Version | None:
        """The first of ``versions`` that never failed and was seen at least ``delay`` ago."""
        for version in versions:
            ripe = now - self.seen.get(version.commit, now) >= delay.total_seconds()
            if ripe and version.commit not in self.bad:
                return version
        return None


def read_state(path: Path) -> State:
    """The state in ``path``; a fresh one where there is none. Raises StateError."""
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except (OSError, ValidationError) as error:
        raise StateError(
            f"cannot read {path}: {error}",
            "Look at it; without it, versions that failed before are tried once more.",
        ) from error


def write_state(path: Path, state: State) -> None:
    """Replace ``path`` whole. Raises StateError."""
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            # What is empty is left out: an updater of before may not know it.
            file.write(state.model_dump_json(indent=1, exclude_defaults=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StateError(
            f"cannot write {path}: {error}", "Make room or correct its rights."
        ) from error
