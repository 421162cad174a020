"""Who reports: proven by a hotkey's signature, or merely claimed.

An unsigned report is kept and marked as such. A signature that does not hold is refused: whoever
signs means to be believed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request

from utilities.chain_auth import SignatureRefusedError, is_signed, verify_request
from voice_validation_api.api_errors import ApiError, TooManyRequestsError
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.auth import ReporterOf
from voice_validation_api.records import Reporter


async def _body_of(request: Request) -> bytes:
    return await request.body()


def _proven(
    request: Request,
    body: Annotated[bytes, Depends(_body_of)],
    claimed: ReporterOf,
    services: ServicesOf,
) -> Reporter:
    if not is_signed(request.headers):
        return claimed
    receiver = services.settings.hotkey
    if receiver is None:
        raise ApiError(
            403,
            "SIGNATURES_NOT_CONFIGURED",
            "this service has no hotkey that a report could be signed for",
            "The operator sets API_HOTKEY and restarts the service; until then, send it unsigned.",
        )
    try:
        hotkey = verify_request(
            request.headers,
            body,
            method=request.method,
            target=_target(request),
            receiver=receiver,
            nonces=services.nonces,
        )
    except SignatureRefusedError as error:
        raise ApiError(401, error.code, error.message, error.remedy) from error
    check_signer(hotkey, claimed.hotkey)
    return replace(claimed, hotkey=hotkey, signed=True)


async def proven_reporter(
    reporter: Annotated[Reporter, Depends(_proven)], services: ServicesOf
) -> Reporter:
    """Who sends a report. Raises ApiError for a signature that does not hold."""
    if reporter.signed:
        # Counted after the proof: nobody can use up another's share.
        hotkey = str(reporter.hotkey)
        wait = services.report_rates.seconds_to_wait(hotkey, time.monotonic())
        if wait:
            raise TooManyRequestsError(wait)
    return reporter


def check_signer(signer: str, claimed: str | None) -> None:
    """Raises ApiError where a report names another hotkey than the one that signed it."""
    if claimed is not None and claimed != signer:
        raise ApiError(
            401,
            "HOTKEY_NOT_SIGNER",
            f"the report names hotkey {claimed!r:.80}, but {signer} signed it",
            "Name the hotkey that signs, or none.",
        )


def _target(request: Request) -> str:
    path = request.scope["raw_path"].decode("ascii")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


ProvenReporter = Annotated[Reporter, Depends(proven_reporter)]
