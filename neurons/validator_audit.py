"""A validator's own audits of what the API publishes: drawn, fetched, done again, remembered."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from neurons.audit_settings import AuditSettings
from neurons.service_api import ServiceError
from neurons.validator_audit_book import AuditBook, Verdict
from neurons.validator_audit_draw import Chance, drawn_prompts, drawn_submissions
from neurons.validator_audit_fetch import AuditWithheldError, Published
from neurons.validator_audit_process import run_audit
from scoring.audit.records import AuditReport, AuditRequest, Finding
from scoring.competition import RoundSnapshot, Standing
from scoring.contract import AsrSpec, CtcSpec, LearnedMosSpec, ParlerModel, SeededPrompts
from utilities.errors import SubnetError
from utilities.hub import Hub
from utilities.hub_errors import HubError

TOLD_FINDINGS: Final = 5

log = logging.getLogger(__name__)


class AuditFailedError(SubnetError):
    """What was found is not what the API published."""

    code: ClassVar[str] = "AUDIT_FAILED"


class AuditUnableError(SubnetError):
    """An audit could not be made, through nobody's fault but ours."""

    code: ClassVar[str] = "AUDIT_UNABLE"


class AuditorTooSmallError(AuditUnableError):
    """An audit needs more memory than this machine gives it."""

    code: ClassVar[str] = "AUDITOR_TOO_SMALL"


class ApiDistrustedError(SubnetError):
    """Too many audits have failed: this validator does not follow the API any more."""

    code: ClassVar[str] = "API_DISTRUSTED"


class Tell(Protocol):
    """Tells people of an error, with more about it."""

    def __call__(self, error: SubnetError, **more: object) -> None: ...


@dataclass(frozen=True)
class _Found:
    """How one audit ended."""

    verdict: Verdict
    error: SubnetError | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Auditor:
    """Audits rounds below the directory ``place``, where the evidence of failures is kept."""

    published: Published
    hub: Hub
    settings: AuditSettings
    device: str
    hotkey: str
    place: Path

    def audit(
        self,
        snapshot: RoundSnapshot,
        book: AuditBook,
        *,
        block: int,
        excluded: Collection[int],
        has_time: Callable[[], bool],
        remember: Callable[[AuditBook], None],
        tell: Tell,
    ) -> None:
        """Audit what is drawn of the round and not settled yet, but for what is ``excluded``.

        Every audit is remembered as soon as it is made; those for which there is no time are left
        for the next call.
        """
        if self.settings.audit_rate == 0:
            return
        if book.key is None:
            book = book.with_key(secrets.token_hex(32))
        book = book.for_round(snapshot.number, [s.submission_id for s in snapshot.standings])
        remember(book)
        chance = Chance(key=book.key or "", hotkey=self.hotkey, seed=snapshot.seed)
        owed = frozenset(book.withheld)
        for standing in drawn_submissions(
            snapshot, chance, rate=self.settings.audit_rate, owed=owed
        ):
            number = standing.submission_id
            if number in excluded or book.is_settled(number):
                continue
            if not has_time():
                break
            found = self._one(snapshot, standing, chance)
            is_news = book.verdicts.get(number) != found.verdict
            book = book.with_audit(
                found.verdict,
                submission_id=number,
                block=block,
                reason="" if found.error is None else found.error.message,
            )
            remember(book)
            if found.error is not None and is_news:
                findings = [f.model_dump() for f in found.findings[:TOLD_FINDINGS]]
                tell(found.error, round=snapshot.number, submission_id=number, findings=findings)

    def _one(self, snapshot: RoundSnapshot, standing: Standing, chance: Chance) -> _Found:
        name = f"round {snapshot.number}, submission {standing.submission_id}"
        place = self.place / f"{snapshot.number}-{standing.submission_id}"
        found = self._attempted(snapshot, standing, chance, place)
        if found.error is None:
            log.info("audit of %s passed", name)
        else:
            log.warning("audit of %s: %s: %s", name, found.verdict, found.error.message)
            for finding in found.findings:
                log.warning("audit of %s: %s", name, finding)
        if found.verdict == "failed":
            shutil.rmtree(place / "model", ignore_errors=True)
            log.warning("the evidence is in %s", place)
        else:
            shutil.rmtree(place, ignore_errors=True)
        return found

    def _attempted(
        self, snapshot: RoundSnapshot, standing: Standing, chance: Chance, place: Path
    ) -> _Found:
        try:
            shutil.rmtree(place, ignore_errors=True)
            request = self._request(snapshot, standing, chance, place)
            report = run_audit(
                request,
                place,
                python=self.settings.audit_python,
                seconds=self.settings.audit_seconds,
                memory_bytes=self.settings.audit_memory_bytes,
            )
        except AuditWithheldError as error:
            return _Found("withheld", error)
        except AuditUnableError as error:
            return _Found("unable", error)
        except (ServiceError, HubError) as error:
            return _Found("unable", AuditUnableError(error.message, error.remedy))
        except OSError as error:
            message = f"cannot write below {place}: {error}"
            return _Found("unable", AuditUnableError(message, "Make room, or set VAR_DIR."))
        return _found(report, snapshot, standing)

    def _request(
        self, snapshot: RoundSnapshot, standing: Standing, chance: Chance, place: Path
    ) -> AuditRequest:
        settings, number = self.settings, standing.submission_id
        engine, model = settings.audit_asr_engine, _place_of(settings.audit_asr_model)
        assert standing.result is not None
        prompts = drawn_prompts(standing, chance, count=settings.audit_prompts)
        second, learned = settings.audit_second_asr_model, settings.audit_learned_mos_dir
        return AuditRequest(
            prompts=SeededPrompts(seed=snapshot.seed, count=len(standing.result.prompt_scores)),
            prompts_digest=snapshot.prompts_digest,
            protocol_digest=snapshot.protocol_digest,
            protocol=self.published.protocol(snapshot.protocol_digest),
            result=standing.result,
            samples=self.published.samples(number, snapshot.prompts_digest),
            clips=self.published.clips(
                number, prompts, snapshot.prompts_digest, (place / "clips").absolute()
            ),
            model=self._model(standing, place),
            weights_digest=standing.weights_digest,
            asr=AsrSpec(engine=engine, model=model),
            second_asr=None if second is None else CtcSpec(model=str(second.absolute())),
            learned_mos=None if learned is None else LearnedMosSpec(model=str(learned.absolute())),
            device=self.device,
            max_seconds=settings.audit_max_seconds,
        )

    def _model(self, standing: Standing, place: Path) -> ParlerModel | None:
        """The pinned revision, downloaded, where models speak again.

        Raises HubError and AuditUnableError.
        """
        if self.device == "cpu" and not self.settings.audit_speak:
            return None
        repository, base = standing.repository, self.settings.audit_base_model_dir
        deadline = time.monotonic() + self.settings.audit_seconds

        def in_time(done: int, total: int) -> None:
            if time.monotonic() > deadline:
                raise AuditUnableError(
                    f"{done:,} of {total:,} bytes of the model came in time",
                    "Set AUDIT_SECONDS to more, or look at the network.",
                )

        model_dir = self.hub.download_revision(
            f"{repository.namespace}/{repository.name}",
            repository.revision,
            (place / "model").absolute(),
            progress=in_time,
        )
        return ParlerModel(
            model_dir=model_dir,
            base_dir=None if base is None else base.absolute(),
            revision=repository.revision,
        )


def _found(report: AuditReport, snapshot: RoundSnapshot, standing: Standing) -> _Found:
    if report.verdict == "passed":
        return _Found("passed")
    if report.lacks == "memory":
        too_small = AuditorTooSmallError(
            f"the auditor's machine is too small: {report.message}",
            "Set AUDIT_MEMORY_BYTES, or audit on a larger machine. No submission is blamed.",
        )
        return _Found("unable", too_small)
    if report.verdict == "unable":
        unable = AuditUnableError(report.message, "No audit was made; docs/validator.md")
        return _Found("unable", unable, report.findings)
    error = AuditFailedError(
        f"round {snapshot.number}, submission {standing.submission_id} of {standing.hotkey}: "
        f"{report.message}",
        "Ask the API's operator to explain the findings.",
    )
    return _Found("failed", error, report.findings)


def _place_of(model: str) -> str:
    # A directory is given from where the validator was started.
    return str(Path(model).absolute()) if Path(model).is_dir() else model
