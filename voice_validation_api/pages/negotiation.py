"""Routes that answer browsers alone: whoever does not ask for HTML finds the API behind them."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope


class HtmlRoute(APIRoute):
    """A route that is there for requests which prefer HTML to JSON."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match for whoever does not ask for HTML."""
        if scope["type"] == "http" and not prefers_html(Headers(scope=scope).get("accept", "")):
            return Match.NONE, {}
        return super().matches(scope)


def prefers_html(accept: str) -> bool:
    """Whether an Accept header names HTML, and JSON neither before it nor above it.

    A browser names HTML first. ``*/*`` alone, as programs send it, is not enough.
    """
    qualities: dict[str, float] = {}
    for part in accept[:1_000].split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        qualities.setdefault(kind, _quality(parameters))
    html, json = qualities.get("text/html", 0.0), qualities.get("application/json", 0.0)
    kinds = list(qualities)
    if html == json and html:
        return kinds.index("text/html") < kinds.index("application/json")
    return html > json


def _quality(parameters: list[Any]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
