"""Which part of a list a caller asks for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from voice_validation_api.store import MAX_PAGE

MAX_OFFSET = 10_000
"""The database reads what it skips."""

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many entries at most.")]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET, description="How many entries to skip.")]
