"""Endpoints that validators report to. Anyone may call them; what nobody signed is so marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body

from voice_validation_api.api_boards import Accepted
from voice_validation_api.api_errors import error_responses
from voice_validation_api.api_requests import EventReport, ShallowObject
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.auth import parse_uid
from voice_validation_api.report_signatures import ProvenReporter, check_signer

router = APIRouter(tags=["reports"], responses=error_responses(400, 401, 403, 413, 422, 503))


@router.post("/telemetry_report", summary="Report telemetry")
def telemetry_report(
    payload: Annotated[
        ShallowObject, Body(examples=[{"version": "0.1.0", "block": 4_200_000, "healthy": True}])
    ],
    reporter: ProvenReporter,
    services: ServicesOf,
) -> Accepted:
    """Keep what a validator says about itself: any JSON object.

    A report that its hotkey signs (btauth/1, the headers X-Bittensor-*; the receiver is the hotkey
    that /hc shows) is kept as proven. A signature that does not hold is refused.
    """
    services.store.record_telemetry(reporter, payload)
    return Accepted()


@router.post("/event_report", summary="Report an event")
def event_report(report: EventReport, reporter: ProvenReporter, services: ServicesOf) -> Accepted:
    """Keep what a validator saw. Headers say who reports; the body's fields stand in for them.

    Signed like telemetry.
    """
    if reporter.signed:
        check_signer(str(reporter.hotkey), report.hotkey)
    uid = reporter.uid if reporter.uid is not None else parse_uid(str(report.uid))
    reporter = replace(
        reporter,
        uid=uid,
        hotkey=reporter.hotkey or report.hotkey,
        coldkey=reporter.coldkey or report.coldkey,
        git_commit=reporter.git_commit or report.commit,
        bittensor_version=reporter.bittensor_version or report.btversion,
    )
    services.store.record_event(
        reporter, {"payload": report.payload, "signature": report.signature}
    )
    return Accepted()
