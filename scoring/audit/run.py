"""One audit from request to report."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scoring.audit.arithmetic import check_sums, published_samples
from scoring.audit.disagreement import DisagreementError
from scoring.audit.records import MAX_FINDINGS, AuditReport, AuditRequest, Finding
from scoring.audit.rescoring import rescore
from scoring.audit.respeaking import respeak
from scoring.contract import FailureCode, ParlerModel, Prompt, TtsRequest, TtsResult
from scoring.errors import ScoringError
from scoring.manifest import current_protocol
from scoring.tts.judge import Judge
from scoring.tts.prompts import prompts_digest, stream

ELSEWHERE: Final = ParlerModel(model_dir=Path("elsewhere"))
"""What spoke the published clips; nothing here loads it."""

_SHOWN_CHARS = 300
_UPDATE = "Run the release and the recognisers that the API's operator names; see docs/validator.md"


def audit(request: AuditRequest, out: Path) -> AuditReport:
    """Check one submission's published results; what is spoken again is left in ``out``.

    Raises ScoringError where this machine cannot, and OSError.
    """
    try:
        return AuditReport(verdict="passed", message=_checked(request, out))
    except DisagreementError as disagreement:
        findings = tuple(
            Finding(
                where=one.where[:_SHOWN_CHARS],
                published=one.published[:_SHOWN_CHARS],
                found=one.found[:_SHOWN_CHARS],
                allowed=one.allowed[:_SHOWN_CHARS],
            )
            for one in disagreement.differences[:MAX_FINDINGS]
        )
        return AuditReport(verdict="failed", message=str(disagreement), findings=findings)


def _checked(request: AuditRequest, out: Path) -> str:
    """What was done without a disagreement. Cheapest first. Raises DisagreementError."""
    prompts = _prompts(request)
    work = TtsRequest(
        synthesiser=request.model or ELSEWHERE,
        prompts=request.prompts,
        asr=request.asr,
        second_asr=request.second_asr,
        learned_mos=request.learned_mos,
        device=request.device,
        max_seconds=request.max_seconds,
    )
    judge = Judge.load(work)
    _check_protocol(work, request, judge)
    samples = published_samples(request.samples, prompts, floor=judge.floor)
    check_sums(request.result, work, samples, floor=judge.floor)
    chosen = [samples[index] for index in sorted(request.clips)]
    rescore(work, chosen, request.clips, judge)
    if request.model is None:
        return f"{len(chosen)} clips scored again"
    respeak(work, chosen, request, judge, out)
    return f"{len(chosen)} clips scored again, and spoken again"


def _prompts(request: AuditRequest) -> tuple[Prompt, ...]:
    prompts = stream(request.prompts.seed, request.prompts.count)
    if prompts_digest(prompts) != request.prompts_digest:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR,
            "the seed of the round gives other prompts here",
            _UPDATE,
        )
    return prompts


def _check_protocol(work: TtsRequest, request: AuditRequest, judge: Judge) -> None:
    # Of a result, the protocol depends on who judged and on the prompts alone.
    judged = TtsResult(
        status="COMPLETED",
        asr=judge.recogniser.info,
        second_asr=None if judge.second is None else judge.second.info,
        learned_mos=judge.likeness.learned and judge.likeness.learned.info,
        human_floor=judge.floor,
        prompts_digest=request.prompts_digest,
    )
    found = current_protocol(work, judged).digest
    if found != request.protocol_digest:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR,
            f"the round was scored under protocol {request.protocol_digest}, and this machine's is "
            f"{found}: another release, recogniser, package or limit of seconds",
            _UPDATE,
        )
