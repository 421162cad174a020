"""Audio as it is scored: read from a file, checked, resampled, written.

Samples are float32, mono, full scale at 1. What comes from outside is bounded before anything
large is allocated.
"""

from __future__ import annotations

import errno
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from scoring.contract import FailureCode
from scoring.errors import ScoringError, UnscorableAudioError

MIN_SECONDS = 0.3
MAX_SECONDS = 120.0
MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 192_000
MAX_CHANNELS = 8
# Two channels of the longest audio at the highest rate, as 32-bit samples, and then some.
MAX_FILE_BYTES = 192 << 20
# 24 dB above full scale: beyond it the samples are not scaled to 1, and are likely integers.
MAX_PEAK = 16.0
# Half a step of 16-bit audio; what varies less than this around its mean carries no signal.
SILENCE_RMS = 0.5 / 32_768

_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Audio:
    """Mono audio: ``samples`` of shape (n,), full scale at 1; ``sample_rate`` in Hz."""

    samples: NDArray[np.float32]
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            shape, dtype = self.samples.shape, self.samples.dtype
            raise ValueError(f"samples must be float32 of shape (n,), not {dtype} of {shape}")

    @property
    def seconds(self) -> float:
        """Duration at the declared sample rate."""
        return len(self.samples) / self.sample_rate


def check(audio: Audio) -> None:
    """Raise UnscorableAudioError, with the reason, where ``audio`` cannot be scored."""
    _check_sample_rate(audio.sample_rate)
    if len(audio.samples) == 0:
        raise UnscorableAudioError("the audio is empty")
    if audio.seconds < MIN_SECONDS:
        raise UnscorableAudioError(
            f"the audio lasts {audio.seconds:.3f} s, less than {MIN_SECONDS:g} s"
        )
    _check_length(len(audio.samples), audio.sample_rate)
    if not np.isfinite(audio.samples).all():
        raise UnscorableAudioError("the audio has NaN or infinite samples")
    peak = float(np.abs(audio.samples).max())
    if peak > MAX_PEAK:
        raise UnscorableAudioError(f"the samples reach {peak:g}, where full scale is 1")
    if float(np.std(audio.samples, dtype=np.float64)) < SILENCE_RMS:
        raise UnscorableAudioError("the audio is silent: its samples are constant")


def read_audio(path: Path) -> Audio:
    """Read a file of any format that libsndfile knows; channels are averaged.

    Raises UnscorableAudioError where there is no such file, it is not audio, or it is larger or
    longer than what is scored. The samples themselves are for ``check``.
    """
    try:
        # Anything else, such as a pipe or a device, may never end.
        if not path.is_file():
            raise UnscorableAudioError(f"there is no audio file at {path}")
        with path.open("rb") as file:
            _check_size(os.fstat(file.fileno()).st_size)
            # By its descriptor, so that the format follows from the content and not the name.
            with soundfile.SoundFile(file.fileno(), closefd=False) as decoder:
                return _decode(decoder)
    except soundfile.LibsndfileError as error:
        reason = f"{path.name} cannot be read as audio: {error.error_string}"
        raise UnscorableAudioError(reason) from error
    except OSError as error:
        raise UnscorableAudioError(f"{path} cannot be read: {error.strerror}") from error


def resample(audio: Audio, sample_rate: int) -> Audio:
    """Convert to ``sample_rate`` Hz with soxr at high quality."""
    if audio.sample_rate == sample_rate:
        return audio
    return Audio(soxr.resample(audio.samples, audio.sample_rate, sample_rate, "HQ"), sample_rate)


def write_wav(path: Path, audio: Audio) -> None:
    """Write 16-bit PCM, the whole file or none of it; what exceeds full scale is clipped.

    Raises ScoringError DISK_FULL, and OSError where the file cannot be written otherwise.
    """
    encoded = io.BytesIO()
    clipped = np.clip(audio.samples, -1.0, 1.0)
    soundfile.write(encoded, clipped, audio.sample_rate, subtype="PCM_16", format="WAV")
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(encoded.getbuffer())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ScoringError(
                FailureCode.DISK_FULL,
                f"no space is left for {path}",
                "Free some space, or name an output directory on a larger disk.",
            ) from error
        raise


def _decode(file: soundfile.SoundFile) -> Audio:
    """Average the channels, block by block so that many of them take no more memory than one."""
    _check_sample_rate(file.samplerate)
    _check_length(file.frames, file.samplerate)
    if file.channels > MAX_CHANNELS:
        raise UnscorableAudioError(
            f"the file has {file.channels} channels, more than {MAX_CHANNELS}"
        )
    mono = [np.zeros(0, np.float32)]
    # libsndfile never gives more frames than it announced, whatever the data holds.
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        mono.append(block.mean(axis=1, dtype=np.float32))
    return Audio(np.concatenate(mono), file.samplerate)


def _check_size(size: int) -> None:
    if size == 0:
        raise UnscorableAudioError("the audio file is empty")
    if size > MAX_FILE_BYTES:
        raise UnscorableAudioError(f"the file has {size} bytes, more than {MAX_FILE_BYTES}")


def _check_sample_rate(rate: int) -> None:
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        raise UnscorableAudioError(
            f"the sample rate is {rate} Hz, outside {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        )


def _check_length(frames: int, rate: int) -> None:
    if frames > MAX_SECONDS * rate:
        raise UnscorableAudioError(
            f"the audio lasts {frames / rate:.1f} s, longer than {MAX_SECONDS:g} s"
        )
