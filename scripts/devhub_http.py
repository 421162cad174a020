"""Requests to the rehearsal hub: who asks, what they may, and what they sent."""

from __future__ import annotations

import re
from typing import Literal, TypeVar

from devhub_records import DevHubError, Repository
from devhub_store import DevHubStore
from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

MAX_JSON_BYTES = 8 * 2**20
MAX_HEADER_CHARS = 500
_TOKEN = re.compile(r"Bearer hf_([A-Za-z0-9][A-Za-z0-9._-]{0,95})")

B = TypeVar("B", bound=BaseModel)


class RepositoryName(BaseModel):
    """Which repository is to be created or deleted, and for a new one, how it starts."""

    name: str
    organization: str | None = None
    type: Literal["model"] | None = None
    private: bool | None = None
    visibility: Literal["public", "private"] | None = None


class Settings(BaseModel):
    """What the owner changes."""

    gated: Literal["auto", "manual", False] | None = None
    private: bool | None = None
    visibility: Literal["public", "private"] | None = None


class Squash(BaseModel):
    """The one commit's title."""

    message: str = Field(default="squash", max_length=1_000)


class PlannedFile(BaseModel):
    """A file that will be uploaded, with its first bytes in base64."""

    path: str
    size: int = Field(ge=0)
    sample: str = ""


class Preupload(BaseModel):
    """The client asks how to upload these."""

    files: list[PlannedFile] = Field(max_length=10_000)


class LfsObject(BaseModel):
    """A content by its digest."""

    oid: str
    size: int = Field(ge=0)


class LfsBatch(BaseModel):
    """The client asks where to upload these."""

    objects: list[LfsObject] = Field(max_length=10_000)


def is_private(values: RepositoryName | Settings) -> bool | None:
    """The visibility that was asked for, in the words of older or newer clients."""
    return values.visibility == "private" if values.visibility else values.private


def user_of(request: Request) -> str | None:
    """Whose token came along: ``hf_alice`` belongs to alice. None without a token."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    match = _TOKEN.fullmatch(header)
    if match is None:
        raise DevHubError(401, "Unauthorized", "Invalid credentials in Authorization header")
    return match.group(1)


def writer_of(request: Request) -> str:
    """The user, who must have given a token."""
    user = user_of(request)
    if user is None:
        raise DevHubError(401, "Unauthorized", "Invalid username or password.")
    return user


def readable(store: DevHubStore, request: Request, namespace: str, name: str) -> Repository:
    """The repository, if the user may know of it."""
    user = user_of(request)
    repository = store.find(namespace, name)
    if repository is None or (repository.private and user != repository.owner):
        raise DevHubError(404, "RepoNotFound", "Repository not found")
    return repository


def writable(store: DevHubStore, request: Request, namespace: str, name: str) -> Repository:
    """The repository, if the user may change it."""
    user = writer_of(request)
    repository = readable(store, request, namespace, name)
    if user != repository.owner:
        raise DevHubError(403, "Forbidden", f"{user} may not write to {repository.repo_id}")
    return repository


async def body_of(request: Request, limit: int) -> bytes:
    """The request's body, at most ``limit`` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise DevHubError(413, "TooLarge", f"the request is larger than {limit:,} bytes")
    return bytes(body)


async def parsed(request: Request, model: type[B]) -> B:
    """The request's JSON."""
    try:
        return model.model_validate_json(await body_of(request, MAX_JSON_BYTES))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise DevHubError(400, "BadRequest", f"{where}: {problem['msg']}"[:500]) from error


def error_response(_: Request, error: Exception) -> JSONResponse:
    """The answer that the client turns into its own exceptions."""
    if not isinstance(error, DevHubError):
        raise error
    # The message may quote what the client sent, and a header is one line of Latin-1.
    line = re.sub(r"[^ -~]", "?", error.message)[:MAX_HEADER_CHARS]
    headers = {"X-Error-Code": error.code, "X-Error-Message": line}
    return JSONResponse({"error": error.message}, error.status, headers)
