"""Whose containers are abandoned, and whose are not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from voice_validation_api.launchers.docker_engine import OwnContainer, container_id
from voice_validation_api.launchers.docker_orphans import (
    DEADLINE,
    DEADLINE_MARGIN,
    Owner,
    is_orphan,
    process_start,
    this_worker,
)

OWNER = Owner("container:ab", "2026-01-01T00:00:00Z")
EXPIRES = 1_000.0
AFTER = EXPIRES + DEADLINE_MARGIN + 1
ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("alive", "now", "orphan"),
    [
        (True, EXPIRES, False),
        (False, EXPIRES, True),
        (None, EXPIRES, False),
        (None, EXPIRES + DEADLINE_MARGIN - 1, False),
        (None, AFTER, True),
        (True, AFTER, True),
    ],
)
def test_remains_go_with_their_worker_or_after_their_deadline(
    alive: bool | None, now: float, orphan: bool
) -> None:
    labels = OWNER.labels("evaluation-1", expires=EXPIRES)
    assert is_orphan(labels, lambda owner: {OWNER: alive}[owner], now=now) is orphan


@pytest.mark.parametrize("deadline", ["", "soon", "-1"])
def test_labels_that_are_not_ours_to_read_do_not_protect(deadline: str) -> None:
    labels = {**OWNER.labels("evaluation-1", expires=EXPIRES), DEADLINE: deadline}
    assert is_orphan(labels, lambda owner: None, now=0.0)


def test_a_worker_in_a_container_is_that_container_since_its_start() -> None:
    assert this_worker(OwnContainer(ID, "then", {})) == Owner(f"container:{ID}", "then")


def test_a_worker_process_is_known_by_number_and_start() -> None:
    me = this_worker(None)
    assert me == this_worker(None)
    assert me.name.endswith(f":{os.getpid()}")
    assert me.instance.isdecimal()


def test_a_process_that_ended_has_no_start() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert (process_start(process.pid) or "").isdecimal()
        process.kill()
        # A zombie until it is waited for.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(process.pid) is None
    assert process_start(process.pid) is None


def test_a_container_knows_its_id_from_what_the_engine_mounted() -> None:
    line = f"130 112 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/a"
    assert container_id(f"1 0 8:1 / / rw - ext4 /dev/a\n{line}\n") == ID
    assert container_id("1 0 8:1 / / rw - ext4 /dev/a\n") is None
    assert container_id("1 0 8:1 /containers/short/hosts /etc/hosts rw - ext4 /dev/a\n") is None


def test_the_engines_own_mounts_while_it_copies_from_a_container_are_no_sign_of_one() -> None:
    directory = "/var/lib/docker"
    line = f"1 0 8:1 {directory}/containers/{ID}/hosts {directory}/overlay2/x/merged/etc/hosts ro"
    assert container_id(f"{line} - ext4 /dev/a\n") is None
