"""An empty torchaudio, which parler-tts's codec package imports and never uses here.

The real one does not load beside a CPU torch. Import this before parler_tts.
"""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec

_torchaudio = types.ModuleType("torchaudio")
_torchaudio.__version__ = "0"  # type: ignore[attr-defined]
_torchaudio.__spec__ = ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = _torchaudio
