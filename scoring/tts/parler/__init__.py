"""A Parler-TTS engine of our own: `ParlerEngine` loads a checkpoint and speaks requests."""

from scoring.tts.parler.engine import ParlerEngine, SpeakRequest, Spoken

__all__ = ["ParlerEngine", "SpeakRequest", "Spoken"]
