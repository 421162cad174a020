"""Templates to HTML: everything is escaped, and nothing on a page comes from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from voice_validation_api.api_text import public_text

PAGE_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; media-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        # One address answers browsers and programs.
        "Vary": "Accept",
        "Cache-Control": "no-cache",
    }
)


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The answer that shows ``template``."""
    return HTMLResponse(render(template, **values), status_code=status, headers=PAGE_HEADERS)


def render(template: str, **values: Any) -> str:
    """The HTML of ``template``."""
    return _environment().get_template(template).render(now=datetime.now(timezone.utc), **values)


@cache
def assets() -> Mapping[str, bytes]:
    """Every file that pages load, by its name below ``static/``."""
    root = Path(__file__).parent / "static"
    found = (path for path in root.rglob("*") if path.is_file())
    return MappingProxyType({str(path.relative_to(root)): path.read_bytes() for path in found})


@cache
def assets_version() -> str:
    """A digest of all assets: it stands in their addresses, so that they may be kept for ever."""
    digest = hashlib.sha256()
    for name, content in sorted(assets().items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever is printed passes here, so no template can forget it.
        finalize=lambda value: public_text(value) if type(value) is str else value,
    )
    environment.filters |= {
        "age": _age,
        "asset": lambda name: f"/assets/{assets_version()}/{name}",
        "percent": lambda share: f"{100 * share:.1f}\u2009%",
        "short": _short,
        "x": lambda share: f"{100 * min(1.0, max(0.0, share)):.2f}",
    }
    return environment


def _short(hotkey: str) -> str:
    return hotkey if len(hotkey) <= 13 else f"{hotkey[:6]}…{hotkey[-4:]}"


def _age(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest unit of which there is one."""
    seconds = max(0.0, (now - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"
