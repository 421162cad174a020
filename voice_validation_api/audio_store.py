"""Which audio store a setting names."""

from __future__ import annotations

from pathlib import Path

from voice_validation_api.audio_base import AudioStore, AudioStoreError
from voice_validation_api.audio_directory import DirectoryAudioStore
from voice_validation_api.audio_objects import open_s3_store
from voice_validation_api.settings import ServiceSettings


def open_audio_store(settings: ServiceSettings) -> AudioStore:
    """The store that ``AUDIO_STORE`` names, by default ``<var_dir>/audio``.

    Nothing is read or written yet. Raises AudioStoreError for a place of an unknown kind, and for
    s3:// where the packages for it are not installed.
    """
    place = settings.audio_store
    if place is None:
        return DirectoryAudioStore(settings.var_dir / "audio")
    if place.startswith("s3://"):
        return open_s3_store(place)
    if "://" in place:
        raise AudioStoreError(
            f"AUDIO_STORE={place}: only a directory or s3://bucket/prefix can hold audio"
        )
    return DirectoryAudioStore(Path(place))
