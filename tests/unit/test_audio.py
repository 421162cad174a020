"""Reading, checking, resampling and writing audio."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scoring import audio
from scoring.audio import Audio, UnscorableAudioError, check, read_audio, resample, write_wav
from scoring.contract import FailureCode
from scoring.errors import ScoringError

RATE = 24_000


def tone(seconds: float = 1.0, rate: int = RATE, level: float = 0.25) -> Audio:
    t = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * 440 * t)).astype(np.float32), rate)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


# Checking


def test_a_tone_can_be_scored() -> None:
    check(tone())


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "empty"),
        (np.ones(int(0.29 * RATE)), "lasts 0.290 s, less than 0.3 s"),
        (np.full(RATE, np.nan), "NaN or infinite"),
        (np.r_[np.ones(RATE), np.inf], "NaN or infinite"),
        (np.zeros(RATE), "silent"),
        (np.full(RATE, 0.7), "silent"),
        (np.full(RATE, 0.7) + 1e-6 * np.arange(RATE) / RATE, "silent"),
        (32_768 * np.cos(np.arange(RATE)), "reach 32768, where full scale is 1"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_its_reason(samples: np.ndarray, reason: str) -> None:
    with pytest.raises(UnscorableAudioError, match=reason):
        check(Audio(samples.astype(np.float32), RATE))


def test_more_than_two_minutes_are_refused() -> None:
    check(tone(120.0, 8_000))
    with pytest.raises(UnscorableAudioError, match=r"lasts 120\.1 s"):
        check(tone(120.1, 8_000))


@pytest.mark.parametrize("rate", [0, 7_999, 192_001])
def test_a_sample_rate_that_no_speech_has_is_refused(rate: int) -> None:
    with pytest.raises(UnscorableAudioError, match=f"sample rate is {rate} Hz"):
        check(Audio(tone().samples, rate))


def test_samples_of_another_shape_or_type_never_become_audio() -> None:
    with pytest.raises(ValueError, match="float32"):
        Audio(np.zeros((2, RATE), np.float32), RATE)
    with pytest.raises(ValueError, match="float32"):
        Audio(np.zeros(RATE, np.int16), RATE)  # type: ignore[arg-type]


# Reading


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_common_formats_are_read(tmp_path: Path, suffix: str) -> None:
    read = read_audio(write(tmp_path / f"tone.{suffix}", tone().samples))
    assert read.sample_rate == RATE
    assert read.samples == pytest.approx(tone().samples, abs=0.02)


def test_16_bit_samples_come_back_at_full_scale_1(tmp_path: Path) -> None:
    samples = np.array([0, 16_384, -32_768] * RATE, np.int16)
    assert read_audio(write(tmp_path / "a.wav", samples)).samples[:3].tolist() == [0, 0.5, -1]


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([np.full(RATE, 0.5), np.full(RATE, -0.25)], axis=1)
    assert read_audio(write(tmp_path / "a.wav", stereo)).samples[0] == pytest.approx(0.125)


def test_the_content_decides_the_format_and_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone().samples).rename(tmp_path / "a.raw")
    assert len(read_audio(path).samples) == RATE


def test_not_finite_samples_are_read_so_that_the_check_can_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.full(RATE, np.nan), subtype="FLOAT")
    with pytest.raises(UnscorableAudioError, match="NaN"):
        check(read_audio(path))


def test_ten_minutes_are_refused_by_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", np.zeros(600 * 8_000, np.int16), 8_000)
    with pytest.raises(UnscorableAudioError, match=r"lasts 600\.0 s"):
        read_audio(path)


def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((RATE, 9)))
    with pytest.raises(UnscorableAudioError, match="9 channels"):
        read_audio(path)


def test_too_large_a_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(audio.MAX_FILE_BYTES + 1)
    with pytest.raises(UnscorableAudioError, match="bytes, more than"):
        read_audio(path)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"RIFF and then nothing" * 9, "Format not")]
)
def test_what_is_no_audio_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(UnscorableAudioError, match=reason):
        read_audio(path)


def test_a_truncated_file_is_refused_or_short_but_never_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(5.0).samples)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnscorableAudioError, match=r"a\.flac cannot be read as audio"):
        read_audio(path)


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing.wav", tmp_path, pipe):
        with pytest.raises(UnscorableAudioError, match="no audio file"):
            read_audio(path)
    with pytest.raises(UnscorableAudioError, match="name too long"):
        read_audio(tmp_path / ("a" * 300))


# Resampling and writing


def test_resampling_keeps_duration_and_level() -> None:
    out = resample(tone(), 16_000)
    assert out.sample_rate == 16_000
    assert out.samples.dtype == np.float32
    assert out.seconds == pytest.approx(1.0, abs=1e-3)
    assert np.std(out.samples) == pytest.approx(np.std(tone().samples), rel=0.01)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    t = np.arange(RATE) / RATE
    high = Audio(np.sin(2 * np.pi * 10_000 * t).astype(np.float32), RATE)
    assert np.std(resample(high, 16_000).samples[100:-100]) < 1e-3


def test_a_written_file_reads_back_and_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, tone())
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert read_audio(tmp_path / "a.wav").samples == pytest.approx(tone().samples, abs=1e-4)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_what_exceeds_full_scale_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", Audio(np.array([1.5, -1.5] * RATE, np.float32), RATE))
    assert read_audio(tmp_path / "a.wav").samples[:2] == pytest.approx([1, -1], abs=1e-4)


def test_a_full_disk_is_named_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, _data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ScoringError, match="no space is left") as caught:
        write_wav(tmp_path / "a.wav", tone())
    assert caught.value.code is FailureCode.DISK_FULL
    assert list(tmp_path.iterdir()) == []


def test_writing_where_no_directory_is_stays_an_operating_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_wav(tmp_path / "missing" / "a.wav", tone())
