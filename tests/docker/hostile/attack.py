"""What a stranger's code might do in the evaluator's place; the request's prompt seed names it.

What it finds out it prints, as one JSON object in the last line.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OUT = Path("/out")
RESULT = OUT / "result.json"
PAYLOAD = Path("/in/model/result.json")
FOREVER = 10**6


def told(**facts: object) -> None:
    sys.stdout.write(f"\n{json.dumps(facts)}\n")
    sys.stdout.flush()


def exit_without_a_result() -> None:
    told(done=True)


def sleep() -> None:
    time.sleep(FOREVER)


def fork_until_refused() -> None:
    count = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(FOREVER)
            count += 1
    except OSError as error:
        told(forks=count, error=errno.errorcode[error.errno or 0])


def fork_for_ever() -> None:
    while True:
        with suppress(OSError):
            os.fork()


def outlive() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(FOREVER)
        os._exit(0)
    os.wait()


def hog_memory() -> None:
    hoard = []
    while True:
        hoard.append(b"x" * (16 << 20))


def _fill(path: Path, limit: int = 1 << 34) -> tuple[int, str]:
    """Write until refused; bytes written and the refusal."""
    written = 0
    try:
        with path.open("wb", buffering=0) as file:
            while written < limit:
                written += file.write(b"x" * (1 << 20))
    except OSError as error:
        return written, errno.errorcode[error.errno or 0]
    return written, ""


def fill_out() -> None:
    told(written=_fill(OUT / "big"))


def fill_tmp() -> None:
    told(written=_fill(Path("/tmp/big")))


def fill_elsewhere() -> None:
    """Write one file in every directory that there is but those meant for writing."""
    reached = []
    for folder, folders, _ in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if name not in {"proc", "sys", "out", "tmp"}]
        probe = Path(folder, "probe")
        try:
            probe.write_bytes(b"x")
        except OSError:
            continue
        probe.unlink()
        reached.append(folder)
    told(reached=reached, shared_memory=_fill(Path("/dev/shm/big")))


def many_files() -> None:
    count = 0
    try:
        for count in range(1_000_000):
            (OUT / str(count)).touch()
    except OSError as error:
        told(files=count, error=errno.errorcode[error.errno or 0])


def many_links() -> None:
    RESULT.write_text("{}")
    for count in range(1_000_000):
        os.link(RESULT, OUT / str(count))


def deep_directories() -> None:
    os.chdir(OUT)
    for _ in range(500):
        Path("d").mkdir()
        os.chdir("d")


def flood() -> None:
    line = b"a line of no interest\n" * 4096
    while True:
        os.write(1, line)


def flood_without_lines() -> None:
    block = b"x" * (1 << 16)
    while True:
        os.write(2, block)


def sparse_gigabyte() -> None:
    with RESULT.open("wb") as file:
        file.truncate(1 << 30)


def big_result() -> None:
    RESULT.write_bytes(b" " * (100 << 20))


def payload() -> None:
    shutil.copyfile(PAYLOAD, RESULT)


def link_to_shadow() -> None:
    RESULT.symlink_to("/etc/shadow")


def link_to_zero() -> None:
    RESULT.symlink_to("/dev/zero")


def pipe() -> None:
    os.mkfifo(RESULT)


def directory() -> None:
    RESULT.mkdir()


def linked_clips() -> None:
    """A result whose audio directory leads out of the output."""
    payload()
    (OUT / "audio").symlink_to("/etc")


def gain_rights() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # Each gives 0 when it works. CLONE_NEWUSER and CLONE_NEWNS from sched.h, MS_REMOUNT is 32.
    calls: dict[str, Callable[[], int]] = {
        "setuid": lambda: libc.setuid(0),
        "setresgid": lambda: libc.setresgid(0, 0, 0),
        "unshare user": lambda: libc.unshare(0x10000000),
        "unshare mounts": lambda: libc.unshare(0x00020000),
        "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "remount root": lambda: libc.mount(b"none", b"/", None, 32, None),
        "chroot": lambda: libc.chroot(b"/tmp"),
        "mknod": lambda: libc.mknod(b"/tmp/disk", 0o60666, os.makedev(254, 0)),
        "sethostname": lambda: libc.sethostname(b"mine", 4),
        "chown": lambda: libc.chown(b"/out", 0, 0),
        "nice": lambda: libc.setpriority(0, 0, -20),
        "open by handle": lambda: min(0, libc.open_by_handle_at(-100, bytes(16), 0)),
        "bpf": lambda: min(0, libc.syscall(321, 0, bytes(64), 64)),
        "keyring": lambda: min(0, libc.syscall(250, 0, -3, 1)),
        "kernel module": lambda: min(0, libc.syscall(175, b"", 0, b"")),
        "reboot": lambda: libc.reboot(0),
    }
    shell = subprocess.run(["/rootshell", "-p", "-c", "id -u"], capture_output=True, check=False)
    own = Path("/tmp/suid")
    shutil.copyfile("/bin/dash", own)
    own.chmod(0o6755)
    try:
        subprocess.run([own, "-c", "true"], check=True)
        from_tmp = True
    except OSError:
        from_tmp = False
    told(
        gained=[name for name, call in calls.items() if call() == 0],
        shell_uid=shell.stdout.decode().strip(),
        runs_from_tmp=from_tmp,
        uid=os.getresuid(),
        devices=[p.name for p in Path("/dev").iterdir() if p.is_block_device()],
    )


def look_for_secrets() -> None:
    """Search environments, and all files that can be read, for the word in the payload."""
    word = PAYLOAD.read_bytes()
    found = []
    for folder, folders, files in os.walk("/"):
        if folder == "/":
            folders[:] = [name for name in folders if name not in {"sys", "usr"}]
        for name in files:
            path = Path(folder, name)
            try:
                if path != PAYLOAD and path.is_file() and word in path.open("rb").read(1 << 20):
                    found.append(str(path))
            except OSError:
                continue
    told(found=found, environment=sorted(os.environ))


def reach_out() -> None:
    """Try every address that the payload lists, and names; say which answered."""
    reached = []
    for host, port in json.loads(PAYLOAD.read_bytes()):
        try:
            socket.create_connection((host, port), timeout=5.0).close()
        except OSError:
            continue
        reached.append(host)
    for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):
        try:
            socket.socket(socket.AF_UNIX).connect(path)
        except OSError:
            continue
        reached.append(path)
    told(reached=reached, interfaces=[name for _, name in socket.if_nameindex()])


def main() -> None:
    request = json.loads(Path(sys.argv[sys.argv.index("--request") + 1]).read_bytes())
    globals()[request["prompts"]["seed"]]()


if __name__ == "__main__":
    main()
