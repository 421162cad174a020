"""What an evaluator wrote is copied as a stranger's: bounded, and through no link."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from voice_validation_api.launchers.docker_output import (
    MAX_DEPTH,
    OutputTooLargeError,
    copy_out,
)

ROOM = 10_000


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(content), 0o4777
    return info


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(entry("out", kind=tarfile.DIRTYPE))
        for info, content in entries:
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def regular(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return entry(f"out/{name}", content), content


def in_pieces(content: bytes, size: int = 100) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def copy(content: bytes, into: Path, *, max_bytes: int = ROOM, max_entries: int = 20) -> None:
    into.mkdir()
    copy_out(in_pieces(content), into, max_bytes=max_bytes, max_entries=max_entries)


def test_files_and_directories_arrive_without_their_rights(tmp_path: Path) -> None:
    into = tmp_path / "out"
    folder = (entry("out/audio", kind=tarfile.DIRTYPE), b"")
    copy(archive(regular("result.json", b"{}"), folder, regular("audio/0.wav", b"RIFF")), into)
    assert (into / "result.json").read_bytes() == b"{}"
    assert (into / "audio" / "0.wav").read_bytes() == b"RIFF"
    assert (into / "result.json").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE],
)
def test_links_pipes_and_devices_become_empty_directories(tmp_path: Path, kind: bytes) -> None:
    special = entry("out/result.json", kind=kind)
    special.linkname = "/etc/passwd"
    copy(archive((special, b"")), tmp_path / "out")
    (arrived,) = (tmp_path / "out").iterdir()
    assert arrived.is_dir()
    assert not arrived.is_symlink()
    assert list(arrived.iterdir()) == []


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = entry("out/audio", kind=tarfile.SYMTYPE)
    link.linkname = str(outside)
    copy(archive((link, b""), regular("audio/0.wav", b"x")), tmp_path / "out")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["out/../../escaped", "/escaped"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="leads out"):
        copy(archive((entry(name, b"x"), b"x")), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(tmp_path: Path) -> None:
    copy(archive(regular("a", bytes(ROOM - 1)), regular("b", b"x")), tmp_path / "fits")
    with pytest.raises(OutputTooLargeError, match="bytes"):
        copy(archive(regular("a", bytes(ROOM)), regular("b", b"x")), tmp_path / "over")


def test_a_file_that_claims_too_much_is_not_begun(tmp_path: Path) -> None:
    claims = tarfile.TarInfo("out/holes")
    claims.size = 1 << 40
    (tmp_path / "out").mkdir()
    content = claims.tobuf() + bytes(1024)
    with pytest.raises(OutputTooLargeError):
        copy_out([content], tmp_path / "out", max_bytes=ROOM, max_entries=20)
    assert list((tmp_path / "out").iterdir()) == []


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    copy(archive(*(regular(str(n), b"") for n in range(20))), tmp_path / "fits")
    with pytest.raises(OutputTooLargeError, match="files"):
        copy(archive(*(regular(str(n), b"") for n in range(21))), tmp_path / "over")


def test_directories_without_end_are_refused(tmp_path: Path) -> None:
    names = ["/".join(["d"] * depth) for depth in range(1, MAX_DEPTH + 2)]
    deep = [(entry(f"out/{name}", kind=tarfile.DIRTYPE), b"") for name in names]
    with pytest.raises(OutputTooLargeError, match="deep"):
        copy(archive(*deep), tmp_path / "out")


@pytest.mark.parametrize("content", [b"x" * 600, archive(regular("a", bytes(900)))[:1100], b""])
def test_a_broken_archive_is_an_error_of_the_engine(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OSError, match="broken archive"):
        copy(content, tmp_path / "out")
