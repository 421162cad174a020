"""What must be set before any test module imports anything."""

from __future__ import annotations

import os

# huggingface_hub reads these when it is imported. The rehearsal hub does not speak Xet.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
for variable in ("HF_TOKEN", "HF_ENDPOINT"):
    os.environ.pop(variable, None)
