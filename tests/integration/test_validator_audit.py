"""What a validator does about an API that withholds, lies, or is gone, round by round."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from audit_bench import MAX_SECONDS, NUMBER, Evaluated, Service, evaluate
from devnet_helpers import new_wallet
from http_answers import Answer, answering

from neurons.audit_settings import AuditSettings
from neurons.service_api import ServiceApi, ServiceUnavailableError
from neurons.validator_audit import Auditor
from neurons.validator_audit_book import AuditBook
from neurons.validator_audit_fetch import CLIPS_SECONDS, PAUSES, Published
from scoring.competition import Rules, Trust
from scoring.contract import ReferenceVoice
from utilities.errors import SubnetError
from utilities.hub import Hub

HOTKEY = "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX"
REFUSED = Answer(404, b'{"error": {"code": "AUDIO_NOT_FOUND", "message": "no", "remedy": ""}}')
BUSY = Answer(429, b"{}")


@dataclass
class Bench:
    """A validator's auditor before a service; ``told`` is what it reported."""

    service: Service
    service_url: str
    auditor: Auditor
    paused: list[float]
    book: AuditBook = field(default_factory=AuditBook)
    told: list[tuple[SubnetError, dict[str, object]]] = field(default_factory=list)

    def audit(self, excluded: frozenset[int] = frozenset(), *, has_time: bool = True) -> None:
        """The audits of the service's round."""
        snapshot = self.service.snapshot
        self.auditor.audit(
            snapshot,
            self.book,
            block=snapshot.closed_block,
            excluded=excluded,
            has_time=lambda: has_time,
            remember=lambda book: setattr(self, "book", book),
            tell=lambda error, **more: self.told.append((error, more)),
        )

    def audit_next(self) -> None:
        """The audits of the next round, on prompts with another digest."""
        self.service.number += 1
        self.service.prompts_digest = f"{self.service.number:064x}"
        self.audit()

    def trust(self) -> Trust:
        block = self.service.snapshot.closed_block
        return self.book.trust(block=block, tempo=360, rules=Rules())

    @property
    def codes(self) -> list[str]:
        return [error.code for error, _ in self.told]


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return evaluate(ReferenceVoice(name="hibari"), tmp_path_factory.mktemp("voice") / "out")


@contextmanager
def bench_of(evaluated: Evaluated, place: Path, **changes: Any) -> Iterator[Bench]:
    """An auditor of a service that publishes one evaluation as that of two submissions."""
    service = Service(new_wallet(place, "service"))
    for number in (7, 8):
        service.publish(number, evaluated, hotkey=f"miner-{number}")
    paused: list[float] = []
    fixed: dict[str, Any] = {
        "audit_rate": 1.0,
        "audit_prompts": 1,
        "AUDIT_MAX_SECONDS": MAX_SECONDS,
        "audit_python": Path(sys.executable),
    }
    settings = AuditSettings(**{**fixed, **changes})
    with answering(service.answer) as url, closing(ServiceApi(url)) as api:
        auditor = Auditor(
            published=Published(api, pause=paused.append),
            hub=Hub(endpoint=url),
            settings=settings,
            device="cpu",
            hotkey=HOTKEY,
            place=place / "audits",
        )
        yield Bench(service, url, auditor, paused)


@pytest.fixture
def bench(voice: Evaluated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Below a directory that is named as VAR_DIR is by default: from where one is."""
    monkeypatch.chdir(tmp_path)
    with bench_of(voice, Path("var")) as made:
        yield made


def test_honest_submissions_pass_and_are_audited_once_a_round(bench: Bench) -> None:
    bench.audit()
    assert bench.book.verdicts == {7: "passed", 8: "passed"}
    assert (bench.book.round, bench.told) == (NUMBER, [])
    assert not list(bench.auditor.place.iterdir())
    bench.service.asked.clear()
    bench.audit()
    assert bench.service.asked == []


def test_a_lie_fails_is_told_and_its_evidence_is_kept(bench: Bench) -> None:
    del bench.service.entries[8]
    for sample in bench.service.entries[7].samples:
        sample["human_likeness"] = 1.0
    bench.audit()
    [failed] = bench.book.failed
    assert (failed.round, failed.submission_id) == (NUMBER, 7)
    [(error, more)] = bench.told
    assert error.code == "AUDIT_FAILED"
    assert (more["round"], more["submission_id"]) == (NUMBER, 7)
    assert isinstance(more["findings"], list)
    assert {finding["where"] for finding in more["findings"]} >= {"score", "human_likeness"}
    kept = bench.auditor.place / f"{NUMBER}-7"
    assert {p.name for p in kept.iterdir()} >= {"request.json", "clips", "out", "log"}
    assert bench.trust() == Trust(frozenset(), "follow", None)


def audio_is_refused(service: Service) -> None:
    for number in service.entries:
        for prompt in range(3):
            service.answers[f"/submissions/{number}/audio/{prompt}"] = REFUSED


def audio_is_always_later(service: Service) -> None:
    for number in service.entries:
        for prompt in range(3):
            service.answers[f"/submissions/{number}/audio/{prompt}"] = BUSY


def samples_are_refused(service: Service) -> None:
    for number in service.entries:
        service.answers[f"/submissions/{number}"] = REFUSED


def samples_are_others(service: Service) -> None:
    for number in service.entries:
        said = b'{"prompts_digest": null, "samples": []}'
        service.answers[f"/submissions/{number}"] = Answer(200, said)


@pytest.mark.parametrize(
    "withhold", [audio_is_refused, audio_is_always_later, samples_are_refused, samples_are_others]
)
def test_what_is_withheld_for_three_rounds_in_a_row_has_failed(bench: Bench, withhold: Any) -> None:
    withhold(bench.service)
    for _ in range(2):
        bench.audit_next()
    assert bench.book.verdicts == {7: "withheld", 8: "withheld"}
    assert not bench.book.failed
    bench.audit_next()
    assert [one.submission_id for one in bench.book.failed] == [7, 8]
    bench.audit_next()
    assert bench.trust().excluded == {7, 8}
    assert bench.codes == ["AUDIT_WITHHELD"] * 8
    expected = [*PAUSES] * 8 if withhold is audio_is_always_later else []
    assert bench.paused == expected


def test_an_api_that_answers_nothing_is_not_blamed_and_asked_again(bench: Bench) -> None:
    audio_is_refused(bench.service)
    bench.service.answers["/hc"] = Answer(503, b"{}")
    bench.audit()
    bench.audit()
    assert bench.book.verdicts == {7: "unable", 8: "unable"}
    assert not bench.book.withheld
    # Told once a round.
    assert bench.codes == ["AUDIT_UNABLE"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("mebibytes", [256, 600], ids=["for its packages", "for its recogniser"])
def test_an_auditor_with_too_little_memory_says_so_and_blames_nobody(
    voice: Evaluated, tmp_path: Path, mebibytes: int
) -> None:
    with bench_of(voice, tmp_path, AUDIT_MEMORY_BYTES=mebibytes << 20) as bench:
        del bench.service.entries[8]
        bench.audit()
        assert bench.book.verdicts == {7: "unable"}
        assert (bench.book.failed, bench.book.withheld) == ((), {})
        [(error, _)] = bench.told
        assert error.code == "AUDITOR_TOO_SMALL"
        assert "the auditor's machine is too small" in error.message
        assert f"{mebibytes / 1_024:.1f} GiB" in error.message
        assert "AUDIT_MEMORY_BYTES" in error.remedy
        assert not list(bench.auditor.place.iterdir())


def of_another_release(service: Service, evaluated: Evaluated) -> bytes:
    """Let the round be one of another engine and another jiwer; the record that says so."""
    manifest = json.loads((evaluated.audio.parent / "manifest.json").read_text())
    protocol = manifest["protocol"]
    protocol["code"]["engine"] = "0" * 64
    protocol["rules"]["jiwer"] = "99.0"
    protocol["new_in_that_release"] = {"beams": 5}
    record = json.dumps(protocol, sort_keys=True, separators=(",", ":")).encode()
    service.protocol_digest = hashlib.sha256(record).hexdigest()
    return record


def test_a_round_of_another_release_is_told_with_the_parts_that_differ(
    bench: Bench, voice: Evaluated
) -> None:
    del bench.service.entries[8]
    record = of_another_release(bench.service, voice)
    path = f"/protocols/{bench.service.protocol_digest}"
    bench.service.answers[path] = Answer(200, record)
    bench.audit()
    assert bench.book.verdicts == {7: "unable"}
    [(error, more)] = bench.told
    assert error.code == "AUDIT_UNABLE"
    assert "what differs: the engine, the settings, libraries" in error.message
    assert isinstance(more["findings"], list)
    found = {finding["where"]: finding for finding in more["findings"]}
    assert found.keys() == {
        "protocol.code.engine",
        "protocol.new_in_that_release.beams",
        "protocol.rules.jiwer",
    }
    assert found["protocol.rules.jiwer"]["published"] == "99.0"
    assert found["protocol.new_in_that_release.beams"]["found"] == "(absent)"


@pytest.mark.parametrize(
    "answer",
    [None, Answer(503, b"{}"), Answer(200, b"{}"), Answer(200, b"x" * 70_000)],
    ids=["an older API", "an outage", "another record", "without end"],
)
def test_a_record_that_is_not_that_of_the_digest_is_not_used(
    bench: Bench, answer: Answer | None
) -> None:
    if answer is not None:
        bench.service.answers[f"/protocols/{'0' * 64}"] = answer
    assert bench.auditor.published.protocol("0" * 64) is None


def test_what_has_the_digest_and_is_no_protocol_is_not_used(bench: Bench) -> None:
    digest = hashlib.sha256(b"[]").hexdigest()
    bench.service.answers[f"/protocols/{digest}"] = Answer(200, b"[]")
    assert bench.auditor.published.protocol(digest) is None


def test_what_is_excluded_is_not_audited_any_more_and_rate_zero_audits_nothing(
    bench: Bench, voice: Evaluated, tmp_path: Path
) -> None:
    audio_is_refused(bench.service)
    bench.audit(excluded=frozenset({7}))
    assert bench.book.verdicts == {8: "withheld"}
    bench.audit(has_time=False)
    assert bench.book.verdicts == {8: "withheld"}
    with bench_of(voice, tmp_path / "none", audit_rate=0.0) as silent:
        silent.audit()
        assert silent.service.asked == []
        assert silent.book == AuditBook()


def test_a_model_that_is_gone_from_the_hub_is_no_fault_of_the_api(
    voice: Evaluated, tmp_path: Path
) -> None:
    with bench_of(voice, tmp_path, audit_speak=True) as bench:
        bench.audit()
        assert bench.book.verdicts == {7: "unable", 8: "unable"}


def test_clips_that_never_end_do_not_keep_the_validator_from_its_weights(
    voice: Evaluated, tmp_path: Path
) -> None:
    with bench_of(voice, tmp_path) as bench, closing(ServiceApi(bench.service_url)) as api:
        ticks = iter((0.0, 1.0, CLIPS_SECONDS + 1.0))
        published = Published(api, clock=lambda: next(ticks))
        with pytest.raises(ServiceUnavailableError, match="take longer than 600 s"):
            published.clips(7, [0, 1, 2], bench.service.prompts_digest, tmp_path / "clips")
        assert [p.name for p in (tmp_path / "clips").iterdir()] == ["00000.wav"]
