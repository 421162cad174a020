"""One audit from request to report."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scoring.audit.arithmetic import check_sums, published_samples
from scoring.audit.disagreement import DisagreementError, findings_of
from scoring.audit.protocol import check_protocol
from scoring.audit.records import AuditReport, AuditRequest
from scoring.audit.rescoring import rescore
from scoring.audit.respeaking import respeak
from scoring.contract import ParlerModel, TtsRequest
from scoring.tts.judge import Judge
from scoring.tts.prompts import stream

ELSEWHERE: Final = ParlerModel(model_dir=Path("elsewhere"))
"""What spoke the published clips; nothing here loads it."""


def audit(request: AuditRequest, out: Path) -> AuditReport:
    """Check one submission's published results; what is spoken again is left in ``out``.

    Raises ScoringError where this machine cannot, OtherProtocolError among them, and OSError.
    """
    try:
        return AuditReport(verdict="passed", message=_checked(request, out))
    except DisagreementError as disagreement:
        findings = findings_of(disagreement.differences)
        return AuditReport(verdict="failed", message=str(disagreement), findings=findings)


def _checked(request: AuditRequest, out: Path) -> str:
    """What was done without a disagreement. Cheapest first. Raises DisagreementError."""
    prompts = stream(request.prompts.seed, request.prompts.count)
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
    check_protocol(work, request, judge, prompts)
    samples = published_samples(request.samples, prompts, floor=judge.floor)
    check_sums(request.result, work, samples, floor=judge.floor)
    chosen = [samples[index] for index in sorted(request.clips)]
    rescore(work, chosen, request.clips, judge)
    if request.model is None:
        return f"{len(chosen)} clips scored again"
    respeak(work, chosen, request, judge, out)
    return f"{len(chosen)} clips scored again, and spoken again"
