"""What a worker logs about an evaluation names the submission."""

from __future__ import annotations

import io
import json
import logging

import pytest
from worker_bench import SCORES, Bench

from utilities.logs import configure_logging


def test_every_entry_between_claim_and_record_names_submission_and_evaluation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench.submit("one", block=1), bench.submit("two", block=2)
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging("INFO", "json")
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    bench.work(SCORES)
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    claims = [n for n, entry in enumerate(entries) if entry["message"].startswith("claimed ")]
    assert [entries[n]["submission"] for n in claims] == [first.id, second.id]
    for entry in entries[claims[0] : claims[1]]:
        assert (entry["submission"], entry["evaluation"]) == (first.id, 1), entry
