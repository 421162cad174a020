"""The rehearsal hub's side of an upload: plan, contents by digest, commit."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from devhub_http import (
    LfsBatch,
    PlannedFile,
    Preupload,
    body_of,
    parsed,
    writable,
)
from devhub_records import Commit, DevHubError, Repository, StoredFile, check_path
from devhub_store import DevHubStore
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect

MAX_COMMIT_BYTES = 64 * 2**20
MAX_REGULAR_BYTES = 2**20
MAX_CONTENT_BYTES = 20 * 10**9
MAX_ANNOUNCED = 100_000


def add_upload_routes(app: FastAPI, store: DevHubStore, now: Callable[[], str]) -> None:
    """What ``upload_file`` and ``upload_folder`` call."""
    # Contents that a writer announced, and their sizes: nothing else is accepted.
    announced: dict[str, int] = {}

    @app.post("/api/models/{namespace}/{name}/preupload/{revision}")
    async def preupload(request: Request, namespace: str, name: str, revision: str) -> Any:
        repository = writable(store, request, namespace, name)
        present = store.commit_at(repository, revision).files
        planned = await parsed(request, Preupload)
        return {"files": [_upload_mode(file, present) for file in planned.files]}

    @app.post("/{namespace}/{name}.git/info/lfs/objects/batch")
    async def batch(request: Request, namespace: str, name: str) -> Any:
        writable(store, request, namespace, name)
        answers = []
        for wanted in (await parsed(request, LfsBatch)).objects:
            answer: dict[str, Any] = {"oid": wanted.oid, "size": wanted.size}
            if wanted.size > MAX_CONTENT_BYTES:
                answer["error"] = {"code": 413, "message": "the file is too large"}
            elif not store.blob(wanted.oid).is_file():
                announced[wanted.oid] = wanted.size
                if len(announced) > MAX_ANNOUNCED:
                    announced.pop(next(iter(announced)))
                answer["actions"] = {"upload": {"href": f"{request.base_url}lfs/{wanted.oid}"}}
            answers.append(answer)
        return {"transfer": "basic", "objects": answers}

    @app.put("/lfs/{oid}")
    async def upload(request: Request, oid: str) -> Any:
        if oid not in announced:
            raise DevHubError(404, "EntryNotFound", "this content was not announced")
        await _receive(request, store, oid, announced[oid])
        return {}

    @app.post("/api/models/{namespace}/{name}/commit/{revision}")
    async def commit(request: Request, namespace: str, name: str, revision: str) -> Any:
        repository = writable(store, request, namespace, name)
        if revision != "main" or request.query_params.get("create_pr"):
            raise DevHubError(400, "BadRequest", "only commits to main are rehearsed here")
        made = _commit(store, repository, await body_of(request, MAX_COMMIT_BYTES), now())
        return {
            "success": True,
            "commitOid": made.oid,
            "commitUrl": f"{request.base_url}{repository.repo_id}/commit/{made.oid}",
        }


def _upload_mode(file: PlannedFile, present: dict[str, StoredFile]) -> dict[str, Any]:
    check_path(file.path)
    try:
        sample = base64.b64decode(file.sample, validate=True)
    except ValueError as error:
        raise DevHubError(400, "BadRequest", "a sample is not base64") from error
    regular = file.size <= MAX_REGULAR_BYTES and _is_text(sample)
    answer: dict[str, Any] = {"path": file.path, "shouldIgnore": False}
    answer["uploadMode"] = "regular" if regular else "lfs"
    if (old := present.get(file.path)) is not None:
        # By this the client sees that a file has not changed.
        answer["oid"] = old.sha256 if old.lfs else old.blob_id
    return answer


def _is_text(sample: bytes) -> bool:
    # The sample may end inside a character.
    return b"\0" not in sample and "\ufffd" not in sample.decode("utf-8", "replace")[:-1]


async def _receive(request: Request, store: DevHubStore, oid: str, size: int) -> None:
    place = store.incoming()
    digest, received = hashlib.sha256(), 0
    try:
        with place.open("wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                if received > size:
                    raise DevHubError(413, "TooLarge", "more bytes than were announced")
                digest.update(chunk)
                file.write(chunk)
        if received != size or digest.hexdigest() != oid:
            raise DevHubError(400, "BadRequest", "the content does not have the announced digest")
        place.replace(store.blob(oid))
    except ClientDisconnect as error:
        raise DevHubError(400, "BadRequest", "the upload broke off") from error
    finally:
        place.unlink(missing_ok=True)


def _commit(store: DevHubStore, repository: Repository, body: bytes, now: str) -> Commit:
    header: dict[str, Any] = {}
    added: dict[str, StoredFile] = {}
    deleted: list[str] = []
    folders: list[str] = []
    try:
        for line in body.splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                header = {"title": str(value["summary"]), "parent": value.get("parentCommit")}
            elif key == "file":
                content = base64.b64decode(value["content"], validate=True)
                added[str(value["path"])] = store.add_bytes(content)
            elif key == "lfsFile":
                added[str(value["path"])] = store.lfs_file(str(value["oid"]), int(value["size"]))
            elif key == "deletedFile":
                deleted.append(str(value["path"]))
            elif key == "deletedFolder":
                folders.append(str(value["path"]))
            else:
                raise DevHubError(400, "BadRequest", f"{key!r:.50} is not rehearsed here")
        return store.add_commit(
            repository,
            title=header["title"][:1_000],
            now=now,
            expected_parent=header["parent"],
            added=added,
            deleted=deleted,
            deleted_folders=folders,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DevHubError(400, "BadRequest", "the commit cannot be read") from error
