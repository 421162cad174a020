"""From a request to a recogniser."""

from __future__ import annotations

from scoring.asr.base import Recogniser
from scoring.contract import AsrSpec, CtcSpec


def load_recogniser(spec: AsrSpec | CtcSpec, *, device: str) -> Recogniser:
    """Load what ``spec`` names on ``cpu``, ``cuda`` or ``cuda:N``. Raises ScoringError."""
    # Each engine brings a large package of its own: only the one in use is imported.
    if spec.engine == "faster-whisper":
        from scoring.asr.faster_whisper import FasterWhisper  # noqa: PLC0415

        return FasterWhisper.load(spec.model, device=device)
    if spec.engine == "ctc":
        from scoring.asr.ctc import Ctc  # noqa: PLC0415

        return Ctc.load(spec.model, device=device)
    from scoring.asr.openai_whisper import OpenaiWhisper  # noqa: PLC0415

    return OpenaiWhisper.load(spec.model, device=device)
