"""The rehearsal hub as a process, talked to by the real huggingface_hub client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from hub_helpers import RunningHub, parler_files, running_hub
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def test_a_folder_comes_back_as_it_was_uploaded(hub: RunningHub, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "samples").mkdir(parents=True)
    contents = {
        "model.safetensors": os.urandom(3_000_000),
        "config.json": b'{"a": "\xc3\xa9"}',
        "empty.txt": b"",
        "samples/tiny.wav": b"RIFF\0\0",
        "README.md": b"---\nlicense: mit\n---\nhello",
    }
    for path, content in contents.items():
        (source / path).write_bytes(content)
    hub.api().create_repo("alice/folder")
    commit = hub.api().upload_folder(repo_id="alice/folder", folder_path=source)

    fetched = Path(
        snapshot_download(
            "alice/folder", revision=commit.oid, endpoint=hub.url, local_dir=tmp_path / "fetched"
        )
    )

    assert {path: (fetched / path).read_bytes() for path in contents} == contents
    files = {
        f.rfilename: f for f in hub.api().model_info("alice/folder", files_metadata=True).siblings
    }
    assert files["model.safetensors"].lfs.size == 3_000_000
    assert files["config.json"].lfs is None
    assert files["config.json"].size == len(contents["config.json"])


def test_old_revisions_stay_readable_after_new_commits(hub: RunningHub, tmp_path: Path) -> None:
    first = hub.publish("history", {"a.txt": b"first"})
    second = hub.publish("history", {"a.txt": b"second"})
    assert first != second
    assert [c.commit_id for c in hub.api().list_repo_commits("alice/history")][:2] == [
        second,
        first,
    ]
    for revision, text in ((first, "first"), (second, "second"), ("main", "second")):
        path = hf_hub_download(
            "alice/history", "a.txt", revision=revision, endpoint=hub.url, cache_dir=tmp_path
        )
        assert Path(path).read_text() == text


def test_unchanged_files_make_no_commit(hub: RunningHub) -> None:
    files = parler_files()
    assert hub.publish("same", files) == hub.publish("same", files)


def test_a_squashed_history_loses_its_old_revisions(hub: RunningHub) -> None:
    old = hub.publish("squashed", {"a.txt": b"1"})
    hub.api().super_squash_history("alice/squashed")
    with pytest.raises(RevisionNotFoundError):
        hub.api().model_info("alice/squashed", revision=old)
    assert hub.api().file_exists("alice/squashed", "a.txt")


def test_ranges_are_served_for_resumed_downloads(hub: RunningHub, tmp_path: Path) -> None:
    content = os.urandom(2_000_000)
    revision = hub.publish("ranges", {"model.safetensors": content})
    url = f"{hub.url}/alice/ranges/resolve/{revision}/model.safetensors"
    part = httpx2.get(url, headers={"Range": "bytes=1500000-"})
    assert part.status_code == 206
    assert part.content == content[1_500_000:]
    assert httpx2.get(url, headers={"Range": "bytes=3000000-"}).status_code == 416


def test_safetensors_headers_are_read_by_range(hub: RunningHub) -> None:
    hub.publish("header", parler_files())
    metadata = hub.api().get_safetensors_metadata("alice/header")
    assert metadata.parameter_count == {"F32": 16}


def test_a_private_repository_exists_for_its_owner_only(hub: RunningHub) -> None:
    hub.api().create_repo("alice/private", private=True)
    assert hub.api().model_info("alice/private").private
    for stranger in (None, "bob"):
        with pytest.raises(RepositoryNotFoundError):
            hub.api(stranger).model_info("alice/private")
    assert "alice/private" not in {m.id for m in hub.api(None).list_models()}


def test_a_gated_repository_shows_metadata_but_no_files(hub: RunningHub, tmp_path: Path) -> None:
    hub.publish("gated", {"config.json": b"{}"})
    hub.api().update_repo_settings("alice/gated", gated="manual")
    assert hub.api(None).model_info("alice/gated").gated == "manual"
    with pytest.raises(GatedRepoError):
        hf_hub_download(
            "alice/gated", "config.json", endpoint=hub.url, local_dir=tmp_path, token=False
        )


def test_folders_are_listed_at_any_depth(hub: RunningHub) -> None:
    hub.publish("tree", {"top.txt": b"1", "a/b/deep.txt": b"22", "ab.txt": b"3"})
    api = hub.api(None)

    def listed(folder: str | None, *, recursive: bool) -> set[str]:
        return {e.path for e in api.list_repo_tree("alice/tree", folder, recursive=recursive)}

    assert listed(None, recursive=False) == {"a", "ab.txt", "top.txt"}
    assert listed("a", recursive=False) == {"a/b"}
    assert listed("a", recursive=True) == {"a/b", "a/b/deep.txt"}
    asked = api.get_paths_info("alice/tree", ["a/b", "a/b/deep.txt", "missing"])
    assert [(type(e).__name__, e.path) for e in asked] == [
        ("RepoFolder", "a/b"),
        ("RepoFile", "a/b/deep.txt"),
    ]
    with pytest.raises(EntryNotFoundError):
        listed("missing", recursive=False)


def test_models_are_found_by_author_and_by_name(hub: RunningHub) -> None:
    hub.publish("findable", {"a.txt": b"1"})
    hub.api("dora").create_repo("dora/findable")
    assert [m.id for m in hub.api(None).list_models(author="dora")] == ["dora/findable"]
    found = [m.id for m in hub.api(None).list_models(search="FINDable")]
    assert found == ["alice/findable", "dora/findable"]


@pytest.mark.parametrize("revision", ["0" * 40, "refs/pr/1"])
def test_unknown_revisions_are_named_as_such(hub: RunningHub, revision: str) -> None:
    hub.publish("revisions", {"a.txt": b"1"})
    with pytest.raises(RevisionNotFoundError):
        hub.api().model_info("alice/revisions", revision=revision)


def test_what_a_client_sends_does_not_become_a_header(hub: RunningHub) -> None:
    hub.publish("headers", {"a.txt": b"1"})
    with pytest.raises(RevisionNotFoundError) as caught:
        list(hub.api().list_repo_tree("alice/headers", revision="x\r\nSet-Cookie: planted=1"))
    assert caught.value.response.headers["x-error-message"].endswith("x??Set-Cookie: planted=1")
    assert "set-cookie" not in caught.value.response.headers


def test_a_missing_file_is_named_as_such(hub: RunningHub, tmp_path: Path) -> None:
    hub.publish("files", {"a.txt": b"1"})
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("alice/files", "b.txt", endpoint=hub.url, local_dir=tmp_path)


def test_a_commit_during_a_change_of_settings_is_kept(hub: RunningHub) -> None:
    hub.publish("busy", {"a.txt": b"1"})
    committed = []

    def slow_body() -> Iterator[bytes]:
        yield b'{"gated":'
        committed.append(hub.publish("busy", {"a.txt": b"2"}))
        yield b'"auto"}'

    httpx2.put(
        f"{hub.url}/api/models/alice/busy/settings",
        content=slow_body(),
        headers={"authorization": "Bearer hf_alice"},
    ).raise_for_status()
    after = hub.api().model_info("alice/busy")
    assert (after.gated, after.sha) == ("auto", committed[0])


def test_only_the_owner_writes(hub: RunningHub) -> None:
    hub.publish("mine", {"a.txt": b"1"})
    for stranger in (None, "bob"):
        with pytest.raises(HfHubHTTPError) as caught:
            hub.api(stranger).upload_file(
                repo_id="alice/mine", path_or_fileobj=b"2", path_in_repo="a.txt"
            )
        assert caught.value.response.status_code in {401, 403}
    with pytest.raises(HfHubHTTPError):
        hub.api("bob").create_repo("alice/planted")


def test_whoami_names_the_owner_of_the_token(hub: RunningHub) -> None:
    assert hub.api("carol").whoami()["name"] == "carol"


def test_a_token_of_no_user_is_refused_even_for_public_repositories(hub: RunningHub) -> None:
    hub.publish("public", {"a.txt": b"1"})
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as caught:
        HfApi(endpoint=hub.url, token="forged").model_info("alice/public")
    assert caught.value.response.status_code == 401


def test_commits_at_the_same_time_are_all_kept(hub: RunningHub) -> None:
    hub.api().create_repo("alice/crowded")
    names = {f"{number}.bin" for number in range(8)}

    def upload(name: str) -> None:
        hub.publish("crowded", {name: b"\0" + name.encode()})

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(upload, names))
    assert set(hub.api().list_repo_files("alice/crowded")) == names
    # One for each, and the empty first one.
    assert len(hub.api().list_repo_commits("alice/crowded")) == len(names) + 1


def test_deleted_files_and_repositories_are_gone(hub: RunningHub) -> None:
    hub.publish("gone", {"a.txt": b"1", "folder/b.txt": b"2", "keep.txt": b"3"})
    hub.api().delete_file("a.txt", "alice/gone")
    hub.api().delete_folder("folder", "alice/gone")
    assert hub.api().list_repo_files("alice/gone") == ["keep.txt"]
    hub.api().delete_repo("alice/gone")
    assert not hub.api().repo_exists("alice/gone")


def test_a_commit_on_a_branch_that_moved_is_refused(hub: RunningHub) -> None:
    first = hub.publish("moved", {"a.txt": b"1"})
    hub.publish("moved", {"a.txt": b"2"})
    with pytest.raises(HfHubHTTPError) as caught:
        hub.api().upload_file(
            repo_id="alice/moved",
            path_or_fileobj=b"3",
            path_in_repo="a.txt",
            parent_commit=first,
        )
    assert caught.value.response.status_code == 412


@pytest.mark.parametrize(
    "path", ["", "../up.txt", "/etc/passwd", "a/../../b", ".git/config", "a//b"]
)
def test_no_path_leaves_the_repository(hub: RunningHub, path: str) -> None:
    hub.api().create_repo("alice/paths", exist_ok=True)
    line = f'{{"key":"file","value":{{"path":"{path}","content":"aGk=","encoding":"base64"}}}}'
    answer = httpx2.post(
        f"{hub.url}/api/models/alice/paths/commit/main",
        content='{"key":"header","value":{"summary":"x"}}\n' + line,
        headers={"authorization": "Bearer hf_alice"},
    )
    assert answer.status_code == 400
    assert "not a path inside a repository" in answer.json()["error"]


@pytest.mark.parametrize("name", ["..", "%2e%2e", ".hidden", "a..b", "x.git"])
def test_no_name_leaves_the_root(hub: RunningHub, name: str) -> None:
    answer = httpx2.post(
        f"{hub.url}/api/repos/create",
        json={"name": name},
        headers={"authorization": "Bearer hf_alice"},
    )
    assert answer.status_code == 400
    assert "not a name for a repository" in answer.json()["error"]


def test_no_path_is_a_file_and_a_folder(hub: RunningHub) -> None:
    first = hub.publish("clash", {"a": b"1"})
    with pytest.raises(HfHubHTTPError, match="both a file and a folder"):
        hub.publish("clash", {"a/b": b"2"})
    assert hub.api().model_info("alice/clash").sha == first


def test_contents_are_taken_only_as_announced(hub: RunningHub) -> None:
    stranger = httpx2.put(f"{hub.url}/lfs/{'0' * 64}", content=b"x")
    assert stranger.status_code == 404
    hub.api().create_repo("alice/announced", exist_ok=True)
    for announced, sent, status in ((3, b"four", 413), (4, b"four", 400)):
        oid = f"{announced:064x}"
        httpx2.post(
            f"{hub.url}/alice/announced.git/info/lfs/objects/batch",
            json={"objects": [{"oid": oid, "size": announced}]},
            headers={"authorization": "Bearer hf_alice"},
        ).raise_for_status()
        assert httpx2.put(f"{hub.url}/lfs/{oid}", content=sent).status_code == status
