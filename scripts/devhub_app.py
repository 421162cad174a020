"""The rehearsal hub's HTTP interface: what the real huggingface_hub client calls for models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from devhub_http import (
    MAX_JSON_BYTES,
    RepositoryName,
    Settings,
    Squash,
    body_of,
    error_response,
    is_private,
    parsed,
    readable,
    user_of,
    writable,
    writer_of,
)
from devhub_records import (
    Commit,
    DevHubError,
    Repository,
    StoredFile,
    check_name,
    folders_of,
)
from devhub_store import DevHubStore
from devhub_uploads import add_upload_routes
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response


def create_app(
    store: DevHubStore, *, now: Callable[[], str], on_start: Callable[[], None]
) -> FastAPI:
    """The application over ``store``; ``now`` gives the time as ISO 8601.

    ``on_start`` is called once signals are heeded and requests will be answered.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        yield

    app = FastAPI(title="Rehearsal hub", openapi_url=None, lifespan=lifespan)
    app.add_exception_handler(DevHubError, error_response)
    _add_account_routes(app)
    _add_repository_routes(app, store, now)
    _add_metadata_routes(app, store)
    _add_content_routes(app, store)
    add_upload_routes(app, store, now)
    return app


def _add_account_routes(app: FastAPI) -> None:
    @app.get("/api/whoami-v2")
    async def whoami(request: Request) -> Any:
        user = writer_of(request)
        token = {"displayName": user, "role": "write"}
        auth = {"type": "access_token", "accessToken": token}
        return {"type": "user", "id": user, "name": user, "orgs": [], "auth": auth}

    @app.post("/api/validate-yaml")
    async def validate_yaml() -> Any:
        return {"errors": [], "warnings": []}


def _add_repository_routes(app: FastAPI, store: DevHubStore, now: Callable[[], str]) -> None:
    @app.get("/api/models")
    async def list_models(request: Request, author: str | None = None, search: str = "") -> Any:
        user = user_of(request)
        return [
            _info(repository, store.commit_at(repository, repository.head), blobs=False)
            for repository in store.repositories()
            if (not repository.private or user == repository.owner)
            and author in {None, repository.owner}
            and search.lower() in repository.repo_id.lower()
        ]

    @app.post("/api/repos/create")
    async def create(request: Request) -> Any:
        user, values = writer_of(request), await parsed(request, RepositoryName)
        namespace = values.organization or user
        check_name(namespace)
        check_name(values.name)
        if namespace != user:
            raise DevHubError(403, "Forbidden", f"{user} may not create in {namespace}")
        url = f"{request.base_url}{namespace}/{values.name}"
        if store.find(namespace, values.name) is not None:
            # The client reads the address also when the repository was there before.
            return JSONResponse({"error": "You already created this model repo", "url": url}, 409)
        store.create(namespace, values.name, private=bool(is_private(values)), now=now())
        return {"url": url}

    @app.delete("/api/repos/delete")
    async def delete(request: Request) -> Any:
        user, values = writer_of(request), await parsed(request, RepositoryName)
        store.delete(writable(store, request, values.organization or user, values.name))
        return {}

    @app.put("/api/models/{namespace}/{name}/settings")
    async def settings(request: Request, namespace: str, name: str) -> Any:
        repository = writable(store, request, namespace, name)
        values = await parsed(request, Settings)
        store.change_settings(repository, private=is_private(values), gated=values.gated)
        return {}

    @app.post("/api/models/{namespace}/{name}/super-squash/main")
    async def squash(request: Request, namespace: str, name: str) -> Any:
        repository = writable(store, request, namespace, name)
        title = (await parsed(request, Squash)).message
        return {"commitId": store.squash(repository, title=title, now=now()).oid}


def _add_metadata_routes(app: FastAPI, store: DevHubStore) -> None:
    @app.get("/api/models/{namespace}/{name}")
    @app.get("/api/models/{namespace}/{name}/revision/{revision:path}")
    async def info(
        request: Request, namespace: str, name: str, revision: str = "main", blobs: bool = False
    ) -> Any:
        repository = readable(store, request, namespace, name)
        return _info(repository, store.commit_at(repository, revision), blobs=blobs)

    @app.get("/api/models/{namespace}/{name}/tree/{revision}")
    @app.get("/api/models/{namespace}/{name}/tree/{revision}/{folder:path}")
    async def tree(
        request: Request,
        namespace: str,
        name: str,
        revision: str,
        folder: str = "",
        recursive: bool = False,
    ) -> Any:
        repository = readable(store, request, namespace, name)
        commit = store.commit_at(repository, revision)
        return _tree(commit, f"{folder.strip('/')}/" if folder else "", recursive=recursive)

    @app.post("/api/models/{namespace}/{name}/paths-info/{revision}")
    async def paths_info(request: Request, namespace: str, name: str, revision: str) -> Any:
        repository = readable(store, request, namespace, name)
        body = (await body_of(request, MAX_JSON_BYTES)).decode("utf-8", "replace")
        files = store.commit_at(repository, revision).files
        asked = parse_qs(body, max_num_fields=10_000).get("paths", [])
        folders = folders_of(files)
        return [
            _tree_file(path, files[path]) if path in files else _tree_folder(path)
            for path in asked
            if path in files or path in folders
        ]

    @app.get("/api/models/{namespace}/{name}/refs")
    async def refs(request: Request, namespace: str, name: str) -> Any:
        head = readable(store, request, namespace, name).head
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": head}
        return {"branches": [branch], "tags": [], "converts": [], "pullRequests": []}

    @app.get("/api/models/{namespace}/{name}/commits/{revision}")
    async def commits(request: Request, namespace: str, name: str, revision: str) -> Any:
        repository = readable(store, request, namespace, name)
        return [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": "",
                "date": commit.date,
                "authors": [{"user": repository.owner}],
            }
            for commit in store.history(repository, revision)
        ]


def _add_content_routes(app: FastAPI, store: DevHubStore) -> None:
    @app.api_route("/{namespace}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(
        request: Request, namespace: str, name: str, revision: str, path: str
    ) -> Response:
        repository = readable(store, request, namespace, name)
        user = user_of(request)
        if repository.gated and user != repository.owner:
            raise DevHubError(
                401 if user is None else 403,
                "GatedRepo",
                f"Access to model {repository.repo_id} is restricted.",
            )
        commit = store.commit_at(repository, revision)
        headers = {"X-Repo-Commit": commit.oid}
        file = commit.files.get(path)
        if file is None:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return JSONResponse({"error": "Entry not found"}, 404, headers)
        headers["ETag"] = f'"{file.sha256 if file.lfs else file.blob_id}"'
        if file.lfs:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(file.size)}
        # It serves ranges too, which resumed downloads ask for.
        return FileResponse(
            store.blob(file.sha256), headers=headers, media_type="application/octet-stream"
        )


def _info(repository: Repository, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for path, file in commit.files.items():
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            sibling |= {"size": file.size, "blobId": file.blob_id}
            if file.lfs:
                sibling["lfs"] = _lfs(file) | {"sha256": file.sha256}
        siblings.append(sibling)
    return {
        "id": repository.repo_id,
        "modelId": repository.repo_id,
        "author": repository.owner,
        "sha": commit.oid,
        "createdAt": repository.created,
        "lastModified": commit.date,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "tags": [],
        "siblings": siblings,
    }


def _tree(commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    inside = [path for path in commit.files if path.startswith(folder)]
    if folder and not inside:
        raise DevHubError(404, "EntryNotFound", f"{folder} does not exist")
    shown = [path for path in inside if recursive or "/" not in path.removeprefix(folder)]
    folders = [
        path
        for path in sorted(folders_of(inside))
        if path.startswith(folder) and (recursive or "/" not in path.removeprefix(folder))
    ]
    return [_tree_folder(path) for path in folders] + [
        _tree_file(path, commit.files[path]) for path in shown
    ]


def _tree_folder(path: str) -> dict[str, Any]:
    # Git's id of a folder covers its content. Nobody here reads it.
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}


def _tree_file(path: str, file: StoredFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.blob_id}
    if file.lfs:
        entry["lfs"] = _lfs(file) | {"oid": file.sha256}
    return entry


def _lfs(file: StoredFile) -> dict[str, Any]:
    # Git keeps a pointer of about that size in place of the content.
    return {"size": file.size, "pointerSize": 134}
