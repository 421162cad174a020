"""Whether this machine scores as the round did, and if not, in which part it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from scoring.audit.records import AuditRequest
from scoring.comparison import Difference, protocol_differences
from scoring.contract import FailureCode, Prompt, TtsRequest, TtsResult
from scoring.errors import ScoringError
from scoring.manifest import current_protocol
from scoring.tts.judge import Judge
from scoring.tts.prompts import prompts_digest

PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "protocol.code.engine": "the engine",
        "protocol.code.asr": "the code around the recognisers",
        "protocol.code.metrics": "the metrics",
        "protocol.code.prompts": "the prompts",
        "protocol.code": "the formula",
        "protocol.networks": "the networks of the metrics",
        "protocol.rules": "libraries",
        "protocol.recognisers": "the recognisers",
        "protocol.human_floor": "the recognisers",
        "protocol.stream_version": "the prompts",
        "protocol.prompts_digest": "the prompts",
    }
)
"""What people call the parts of a protocol. The first whose place a difference begins with."""

_REST: Final = "the settings"
_UPDATE: Final = (
    "Run the release and the recognisers that the API's operator names; see docs/validator.md"
)


class OtherProtocolError(ScoringError):
    """This machine measures otherwise than the round did: ``differences`` say where, if known."""

    def __init__(self, message: str, differences: Sequence[Difference]) -> None:
        super().__init__(FailureCode.EVALUATOR_ERROR, message, _UPDATE)
        self.differences = tuple(differences)


def check_protocol(
    work: TtsRequest, request: AuditRequest, judge: Judge, prompts: Sequence[Prompt]
) -> None:
    """Raise OtherProtocolError unless this machine would score ``work`` as the round did."""
    # Of a result, the protocol depends on who judged and on the prompts alone.
    judged = TtsResult(
        status="COMPLETED",
        asr=judge.recogniser.info,
        second_asr=None if judge.second is None else judge.second.info,
        learned_mos=judge.likeness.learned and judge.likeness.learned.info,
        human_floor=judge.floor,
        prompts_digest=prompts_digest(tuple(prompts)),
    )
    found = current_protocol(work, judged)
    same_prompts = judged.prompts_digest == request.prompts_digest
    if found.digest == request.protocol_digest and same_prompts:
        return
    message = (
        f"the round was scored under protocol {request.protocol_digest}, and this machine's is "
        f"{found.digest}"
    )
    if not same_prompts:
        message += "; the seed of the round gives other prompts here"
    if request.protocol is None:
        message += "; the API does not say what differs: release, recogniser, library or setting"
        raise OtherProtocolError(message, ())
    differences = protocol_differences(request.protocol, found)
    parts = dict.fromkeys(_part(difference.where) for difference in differences)
    raise OtherProtocolError(f"{message}; what differs: {', '.join(parts)}", differences)


def _part(where: str) -> str:
    named = (name for place, name in PARTS.items() if f"{where}.".startswith(f"{place}."))
    return next(named, _REST)
