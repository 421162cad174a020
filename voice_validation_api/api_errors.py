"""How errors reach a caller: always ``{"error": {"code", "message", "remedy"}}``.

``code`` is stable and meant for programs, ``message`` says what was wrong, ``remedy`` what to do.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from utilities.hub_errors import HubError
from utilities.model_reference import InvalidReferenceError
from voice_validation_api.api_headers import SAFE_HEADERS
from voice_validation_api.api_text import public_text
from voice_validation_api.database import DatabaseUnavailableError, RefusedByDatabaseError

DATABASE_RETRY_SECONDS = 5
HUB_RETRY_SECONDS = 60
MAX_PROBLEMS_TOLD = 5
MAX_MESSAGE_CHARS = 2_000

log = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """What was wrong and what to do about it."""

    code: str = Field(examples=["SUBMISSION_HASH_WRONG"])
    message: str
    remedy: str


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.remedy = status, code, message, remedy
        self.headers: dict[str, str] = {}


class TooManyRequestsError(ApiError):
    """The caller has used up its share for now."""

    def __init__(self, wait: float) -> None:
        super().__init__(
            429,
            "TOO_MANY_REQUESTS",
            "more requests than this service answers one caller",
            "Wait as many seconds as Retry-After says.",
        )
        self.headers = {"Retry-After": str(math.ceil(wait))}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of errors that an endpoint may answer with."""
    return {
        status: {"model": ErrorAnswer, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


def error_response(
    status: int, code: str, message: str, remedy: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error as every caller knows it."""
    message = public_text(message[:MAX_MESSAGE_CHARS])
    body = {"code": code, "message": message, "remedy": public_text(remedy)}
    # The answer to a fault of ours passes no middleware: it carries the safe headers itself.
    all_headers = {**SAFE_HEADERS, **(headers or {})}
    return JSONResponse({"error": body}, status_code=status, headers=all_headers)


def api_error_response(error: ApiError) -> JSONResponse:
    """The answer that ``error`` stands for."""
    return error_response(error.status, error.code, error.message, error.remedy, error.headers)


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` answer in one form."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(InvalidReferenceError, _invalid_reference)
    app.add_exception_handler(HubError, _hub_error)
    app.add_exception_handler(DatabaseUnavailableError, _database_unavailable)
    app.add_exception_handler(RefusedByDatabaseError, _refused_by_database)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _fault)


def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return api_error_response(error)


def _invalid_reference(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, InvalidReferenceError)
    return error_response(422, error.code, f"{error.field}: {error.message}", error.remedy)


def _hub_error(request: Request, error: Exception) -> JSONResponse:
    # Endpoints turn what is final about a repository into a refusal. What is left says nothing
    # about it: the caller asks again.
    assert isinstance(error, HubError)
    log.warning("%s: %s", request.url.path, error.message)
    headers = {"Retry-After": str(HUB_RETRY_SECONDS)}
    remedy = f"Nothing was recorded. {error.remedy}"
    return error_response(503, error.code, error.message, remedy, headers)


def _database_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: %s", request.url.path, error)
    return error_response(
        503,
        "DATABASE_UNAVAILABLE",
        "the service's database does not answer",
        "Try again later.",
        {"Retry-After": str(DATABASE_RETRY_SECONDS)},
    )


def _refused_by_database(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: %s", request.url.path, error)
    return error_response(
        422,
        "REQUEST_INVALID",
        "a value is longer or larger than can be stored",
        "Send values as the API's description gives them.",
    )


def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return error_response(
        422,
        "REQUEST_INVALID",
        problems_told(error.errors()),
        "Send the fields as the API's description (/openapi.json) gives them.",
    )


def problems_told(problems: Sequence[Any]) -> str:
    """The first few problems that pydantic found, without the values that were sent."""
    told = [
        f"{'.'.join(str(part) for part in problem['loc'])[:200]}: {problem['msg']}"
        for problem in problems[:MAX_PROBLEMS_TOLD]
    ]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name
    remedy = {
        404: "GET / lists the endpoints.",
        405: f"Use another method: {(error.headers or {}).get('Allow', 'see /openapi.json')}.",
    }.get(error.status_code, "See /openapi.json.")
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    return error_response(error.status_code, code, message, remedy, error.headers)


def _fault(_request: Request, _error: Exception) -> JSONResponse:
    # The server logs the traceback.
    return error_response(
        500,
        "INTERNAL_ERROR",
        "an error of the service; the request is not at fault",
        "Try again later. If it lasts, tell the operator the time and the path.",
    )
