"""The audio store, in a directory and on a server that speaks S3: the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import BUCKET, ObjectStore, running_object_store

from voice_validation_api.audio_base import CHUNK_BYTES, AudioStore, AudioStoreError
from voice_validation_api.audio_store import open_audio_store
from voice_validation_api.records import EvaluationId, SubmissionId
from voice_validation_api.settings import ServiceSettings

SUBMISSION, EVALUATION = SubmissionId(7), EvaluationId(12)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with running_object_store() as running:
        yield running


def opened(var_dir: Path, place: str | None) -> AudioStore:
    return open_audio_store(ServiceSettings(_env_file=None, var_dir=var_dir, audio_store=place))


@pytest.fixture(params=["var_dir", "directory", "s3"])
def store(
    request: pytest.FixtureRequest,
    server: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AudioStore:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    places = {
        "var_dir": None,
        "directory": str(tmp_path / "elsewhere"),
        "s3": f"s3://{BUCKET}/{tmp_path.name}/",
    }
    return opened(tmp_path / "var", places[request.param])


def clips(tmp_path: Path, *contents: bytes) -> dict[str, Path]:
    paths = {}
    for number, content in enumerate(contents):
        path = tmp_path / f"clip-{number}"
        path.write_bytes(content)
        paths[f"audio/{number}.wav"] = path
    return paths


def content(store: AudioStore, stored: str) -> bytes:
    clip = store.find(stored)
    assert clip is not None
    return b"".join(clip.chunks(0, clip.size_bytes))


def test_what_is_published_is_found_and_read(store: AudioStore, tmp_path: Path) -> None:
    store.check()
    many = clips(tmp_path, *(b"RIFF%d" % number for number in range(20)))
    kept = store.publish(SUBMISSION, EVALUATION, many)
    assert kept.keys() == many.keys()
    for name, stored in kept.items():
        assert stored.startswith("7/12/")
        assert stored.endswith(".wav")
        assert content(store, stored) == many[name].read_bytes()


def test_any_part_of_a_clip_can_be_read(store: AudioStore, tmp_path: Path) -> None:
    whole = bytes(range(256)) * (3 * CHUNK_BYTES // 256)
    (stored,) = store.publish(SUBMISSION, EVALUATION, clips(tmp_path, whole)).values()
    clip = store.find(stored)
    assert clip is not None
    assert clip.size_bytes == len(whole)
    for start, stop in ((0, 1), (5, CHUNK_BYTES + 9), (len(whole) - 1, len(whole))):
        chunks = list(clip.chunks(start, stop))
        assert b"".join(chunks) == whole[start:stop]
        assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_discarded_attempt_is_gone_and_its_neighbour_is_not(
    store: AudioStore, tmp_path: Path
) -> None:
    some = clips(tmp_path, b"RIFF")
    (lost,) = store.publish(SUBMISSION, EVALUATION, some).values()
    (kept,) = store.publish(SUBMISSION, EvaluationId(123), some).values()
    store.discard(SUBMISSION, EVALUATION)
    store.discard(SUBMISSION, EvaluationId(99))
    assert store.find(lost) is None
    assert content(store, kept) == b"RIFF"


def test_a_voice_measured_again_replaces_its_clips(store: AudioStore, tmp_path: Path) -> None:
    for spoken in (b"first", b"second"):
        store.publish_voice("hibari", "ab" * 32, clips(tmp_path, spoken))
    assert content(store, f"calibration/hibari/{'ab' * 32}/00000.wav") == b"second"


@pytest.mark.parametrize(
    "stored", ["../clip-0", "/etc/passwd", "7/../../x.wav", "missing.wav", "7/12", "7/12/notes.txt"]
)
def test_what_is_no_clip_of_the_store_is_not_found(store: AudioStore, stored: str) -> None:
    assert store.find(stored) is None


def test_an_attempt_that_cannot_be_kept_leaves_nothing(store: AudioStore, tmp_path: Path) -> None:
    broken = {**clips(tmp_path, b"RIFF"), "z.wav": tmp_path / "missing"}
    with pytest.raises(OSError):
        store.publish(SUBMISSION, EVALUATION, broken)
    assert store.find("7/12/00000.wav") is None


def test_a_link_among_the_clips_is_not_followed(store: AudioStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to(secret)
    try:
        kept = store.publish(SUBMISSION, EVALUATION, {"a.wav": link})
    except OSError:
        return
    assert store.find(kept["a.wav"]) is None


def test_a_server_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ObjectStore
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = opened(tmp_path, f"s3://{BUCKET}")
    with pytest.raises(AudioStoreError, match=f"the audio store {BUCKET}"):
        store.find("7/12/00000.wav")
    with pytest.raises(AudioStoreError):
        store.publish(SUBMISSION, EVALUATION, clips(tmp_path, b"RIFF"))
    store.discard(SUBMISSION, EVALUATION)


def test_a_bucket_that_is_not_there_is_found_out_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ObjectStore
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError):
        opened(tmp_path, "s3://no-such-bucket/x").check()
    assert not [name for name in server.names() if ".check" in name]


@pytest.mark.parametrize("place", ["ftp://host/x", "s3://", "s3:///prefix"])
def test_a_place_that_cannot_hold_audio_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(AudioStoreError, match="AUDIO_STORE"):
        opened(tmp_path, place)


def test_every_attempt_is_listed_with_its_size_and_nothing_else(
    store: AudioStore, tmp_path: Path
) -> None:
    assert list(store.attempts()) == []
    store.publish(SUBMISSION, EVALUATION, clips(tmp_path, b"12345", b"678"))
    store.publish(SUBMISSION, EvaluationId(13), clips(tmp_path, b"9"))
    store.publish(SubmissionId(8), EvaluationId(14), clips(tmp_path, b"10"))
    store.publish_voice("hibari", "d" * 64, clips(tmp_path, b"11"))
    found = {(a.submission, a.evaluation): a.size_bytes for a in store.attempts()}
    assert found == {(7, 12): 8, (7, 13): 1, (8, 14): 2}
