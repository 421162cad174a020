"""What pages load: ours small, others' unchanged, nothing from another host."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import voice_validation_api.pages
from voice_validation_api.pages.rendering import PAGE_HEADERS, assets

PAGES = Path(voice_validation_api.pages.__file__).parent


def test_vendored_files_are_those_that_the_package_manager_brought() -> None:
    vendored = {name[7:]: content for name, content in assets().items() if name[:7] == "vendor/"}
    listed = dict(
        reversed(line.split()) for line in vendored.pop("SHA256SUMS").decode().splitlines()
    )
    assert {name: hashlib.sha256(content).hexdigest() for name, content in vendored.items()} == (
        listed
    )


def test_the_vendored_version_is_the_locked_one() -> None:
    lock = json.loads((PAGES / "package-lock.json").read_text())["packages"]
    wanted = json.loads((PAGES / "package.json").read_text())["dependencies"]["uplot"]
    assert lock["node_modules/uplot"]["version"] == wanted
    assert f"(v{wanted})".encode() in assets()["vendor/uPlot.iife.min.js"][:200]


def test_no_page_names_another_host_or_carries_script_or_style_of_its_own() -> None:
    sources = [path.read_text() for path in (PAGES / "templates").glob("*.html")]
    sources += [
        content.decode() for name, content in assets().items() if not name.startswith("vendor/")
    ]
    for source in sources:
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
    for template in sources[: len(list((PAGES / "templates").glob("*.html")))]:
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)", template)
        assert "|safe" not in template
        assert "autoescape false" not in template


def test_the_policy_allows_nothing_inline() -> None:
    policy = PAGE_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
