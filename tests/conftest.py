"""What must be set before any test module imports anything."""

from __future__ import annotations

import os
import signal

# huggingface_hub reads these when it is imported. The rehearsal hub does not speak Xet.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
for variable in ("HF_TOKEN", "HF_ENDPOINT"):
    os.environ.pop(variable, None)


def pytest_configure() -> None:
    """Let programs under test be interrupted.

    A shell that runs the tests in the background has them ignore SIGINT, and whatever they start
    inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
