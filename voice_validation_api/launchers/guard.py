"""Stands between a worker and its evaluator: ``python guard.py LIMITS COMMAND...``

Run by path and alone, in a session of its own. It applies the limits (a JSON object, see
``process.py``), starts the command, and waits for it. Its standard input is a pipe whose other end
the worker holds and never writes to: when the worker dies, however it dies, the pipe ends, and the
guard kills its whole process group, itself included.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command; its exit code, or 128 + n when signal n killed it."""
    limits, command = json.loads(sys.argv[1]), sys.argv[2:]
    threading.Thread(target=_kill_group_when_orphaned, daemon=True).start()
    for name, value in limits.items():
        # Inherited by the command; too low for the guard itself to matter.
        resource.setrlimit(getattr(resource, name), (value, value))
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    if code >= 0:
        return code
    sys.stderr.write(f"the evaluator was killed by {signal.Signals(-code).name}\n")
    return 128 - code


def _kill_group_when_orphaned() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
