"""Strangers' code in the evaluator's place: contained, classified, and gone afterwards."""

from __future__ import annotations

import json
import socketserver
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import docker, leftovers, running
from hostile_helpers import (
    Arena,
    completed_result,
    facts,
    failed_result,
    processes_of_attacks,
)

from scoring.contract import FailureCode
from voice_validation_api.evaluation import InterruptedEvaluationError
from voice_validation_api.failures import FailureKind, ServiceCode, kind_of
from voice_validation_api.launchers.base import LOG_BYTES
from voice_validation_api.launchers.docker_limits import (
    LOG_FILE_BYTES,
    LOG_FILES,
    OUTPUT_FILES,
    PIDS,
)

ROOMY = 2**33
"""So much memory that a fork bomb meets its other limits first."""
pytestmark = pytest.mark.usefixtures("nothing_left", "nobody_left")


@pytest.fixture
def arena(hostile_image: str, tmp_path: Path) -> Arena:
    return Arena(hostile_image, tmp_path)


@pytest.fixture
def nobody_left() -> Iterator[None]:
    """Fails a test after which an evaluator's process still runs."""
    yield
    assert list(processes_of_attacks()) == []


# What an honest evaluator says must come through, or the refusals below prove nothing.


def test_an_honest_result_is_accepted(arena: Arena) -> None:
    result = completed_result()
    assert arena.evaluate("payload", result.model_dump_json().encode()).result == result


def test_an_honest_failure_is_the_miners(arena: Arena) -> None:
    error = arena.fail("payload", failed_result().model_dump_json().encode())
    assert error.code is FailureCode.TENSOR_NOT_FINITE
    assert kind_of(error.code) is FailureKind.MODEL


# Everything else is an error of ours: no model can be blamed for it.

CLASSIFIED = {
    "exit_without_a_result": ServiceCode.NO_RESULT,
    "outlive": ServiceCode.NO_RESULT,
    "fill_tmp": ServiceCode.NO_RESULT,
    "many_links": ServiceCode.OUTPUT_LIMIT,
    "deep_directories": ServiceCode.OUTPUT_LIMIT,
    "sparse_gigabyte": ServiceCode.OUTPUT_LIMIT,
    "big_result": ServiceCode.RESULT_INVALID,
    "link_to_shadow": ServiceCode.RESULT_INVALID,
    "link_to_zero": ServiceCode.RESULT_INVALID,
    "pipe": ServiceCode.RESULT_INVALID,
    "directory": ServiceCode.RESULT_INVALID,
}


@pytest.mark.parametrize("attack", CLASSIFIED)
def test_it_is_contained_and_called_ours(arena: Arena, attack: str) -> None:
    error = arena.fail(attack)
    assert error.code is CLASSIFIED[attack], error.log
    assert kind_of(error.code).is_ours
    assert error.public == ""


@pytest.mark.parametrize("attack", ["sleep", "flood_without_lines"])
def test_it_is_stopped_at_its_time_limit(arena: Arena, attack: str) -> None:
    started = time.monotonic()
    error = arena.fail(attack, wall_seconds=4.0)
    assert error.code is ServiceCode.TIME_LIMIT
    assert time.monotonic() - started < 25
    assert len(error.log) < LOG_BYTES + 100


def test_a_fork_bomb_stays_below_its_number_of_processes(arena: Arena) -> None:
    error = arena.fail("fork_until_refused", memory_bytes=ROOMY)
    assert error.code is ServiceCode.NO_RESULT
    told = facts(error.log)
    assert told["error"] == "EAGAIN"
    assert 100 < told["forks"] < PIDS


def test_the_machine_answers_while_a_fork_bomb_goes_off(arena: Arena) -> None:
    answers = []

    def look() -> bool:
        started = time.monotonic()
        subprocess.run(["true"], check=True)
        answers.append(time.monotonic() - started)
        return False

    error = arena.fail("fork_for_ever", wall_seconds=4.0, memory_bytes=ROOMY, interrupted=look)
    assert error.code is ServiceCode.TIME_LIMIT, error.detail
    assert len(answers) > 1
    # A fork takes a millisecond on a machine at rest; on a crippled one it fails or hangs.
    assert max(answers) < 10.0


def test_memory_that_ran_out_is_told_to_the_operator(arena: Arena) -> None:
    error = arena.fail("hog_memory")
    assert error.code is ServiceCode.NO_RESULT
    assert "exit code 137" in error.detail
    assert "killed at the limit of memory" in error.log


def test_output_ends_at_its_limit(arena: Arena) -> None:
    error = arena.fail("fill_out")
    assert error.code is ServiceCode.OUTPUT_LIMIT
    written, refusal = facts(error.log)["written"]
    assert refusal == "ENOSPC"
    assert written < 300 << 20
    assert sum(p.stat().st_size for p in arena.path.rglob("*") if p.is_file()) < 1 << 20


def test_files_end_at_their_number(arena: Arena) -> None:
    error = arena.fail("many_files")
    assert error.code is ServiceCode.OUTPUT_LIMIT
    told = facts(error.log)
    assert (told["error"], told["files"]) == ("ENOSPC", OUTPUT_FILES + 1)
    assert f"it left more than {OUTPUT_FILES} files" in error.log


def test_nothing_can_be_written_but_where_it_may(arena: Arena) -> None:
    error = arena.fail("fill_elsewhere")
    assert error.code is ServiceCode.NO_RESULT
    told = facts(error.log)
    assert set(told["reached"]) <= {"/dev/shm", "/dev/mqueue"}
    written, refusal = told["shared_memory"]
    assert (written, refusal) == (64 << 20, "ENOSPC")


def test_a_flood_is_not_kept_by_the_engine(arena: Arena, engine: Any) -> None:
    sizes = [0]

    def look() -> bool:
        for name in leftovers(engine):
            if not name.startswith("speech-subnet-"):
                log = Path(engine.api.inspect_container(name)["LogPath"])
                sizes.append(sum(p.stat().st_size for p in log.parent.glob(f"{log.name}*")))
        return False

    error = arena.fail("flood", wall_seconds=4.0, interrupted=look)
    assert error.code is ServiceCode.TIME_LIMIT
    assert len(error.log) < LOG_BYTES + 100
    assert LOG_FILE_BYTES < max(sizes) <= (LOG_FILES + 0.1) * LOG_FILE_BYTES


def test_rights_cannot_be_gained(arena: Arena) -> None:
    told = facts(arena.fail("gain_rights").log)
    assert told == {
        "gained": [],
        "shell_uid": "10001",
        "runs_from_tmp": False,
        "uid": [10001] * 3,
        "devices": [],
    }


def test_no_secret_is_to_be_found(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    word = "correct-horse-battery-staple"
    for name in ("HF_TOKEN", "POSTGRES_URL", "ADMIN_KEY", "DOCKER_CONFIG_SECRET"):
        monkeypatch.setenv(name, word)
    told = facts(arena.fail("look_for_secrets", word.encode()).log)
    assert told["found"] == []
    assert set(told["environment"]) <= {
        "HF_HUB_OFFLINE",
        "HOME",
        "HOSTNAME",
        "LC_CTYPE",
        "OMP_NUM_THREADS",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
    }


class _Hello(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"hello")


def test_nothing_can_be_reached(arena: Arena, gateway: str, hostile_image: str) -> None:
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout
    hosts = {gateway, "127.0.0.1", "::1", "0.0.0.0", *own.split()}
    elsewhere = [("169.254.169.254", 80), ("example.org", 80), ("host.docker.internal", 80)]
    with running(socketserver.ThreadingTCPServer(("0.0.0.0", 0), _Hello)) as port:
        addresses = [(host, port) for host in sorted(hosts)]
        told = facts(arena.fail("reach_out", json.dumps([*addresses, *elsewhere]).encode()).log)
        assert told == {"reached": [], "interfaces": ["lo"]}

        # The same program on an ordinary network finds the service: it does look.
        (arena.path / "request.json").write_text('{"prompts": {"seed": "reach_out"}}')
        (arena.model / "result.json").write_text(json.dumps([(gateway, port)]))
        command = [
            "run",
            "--rm",
            "-v",
            f"{arena.path}:/work:ro",
            "-v",
            f"{arena.model}:/in/model:ro",
        ]
        control = docker(*command, hostile_image, "--request", "/work/request.json")
        assert facts(control)["reached"] == [gateway]


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """An honest result as JSON after ``change``; NaN and infinity are written as Python does."""
    result = completed_result().model_dump(mode="json")
    change(result)
    return json.dumps(result).encode()


SPOILED = {
    "NaN": changed(lambda r: r["aggregate"].update(score=float("nan"))),
    "infinity": changed(lambda r: r["aggregate"].update(wer=float("inf"))),
    "beyond its range": changed(lambda r: r["aggregate"].update(score=1.5)),
    "text for a number": changed(lambda r: r["aggregate"].update(score="1.0")),
    "truth for a number": changed(lambda r: r["aggregate"].update(scored=True)),
    "list for a record": changed(lambda r: r.update(aggregate=[1])),
    "unknown field": changed(lambda r: r.update(reward=1)),
    "other prompts": changed(lambda r: r["samples"][0]["prompt"].update(index=5)),
    "no samples": changed(lambda r: r.update(samples=[])),
    "clip outside": changed(lambda r: r["samples"][0].update(audio="../../../etc/passwd.wav")),
    "deep": b"[" * 1_000_000,
    "empty": b"",
    "no JSON": b"\xff\xfe\x00score",
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_result_is_refused(arena: Arena, name: str) -> None:
    assert arena.fail("payload", SPOILED[name]).code is ServiceCode.RESULT_INVALID


def test_clips_are_not_read_through_a_link(arena: Arena) -> None:
    payload = changed(lambda r: r["samples"][0].update(audio="audio/passwd.wav"))
    assert arena.fail("linked_clips", payload).code is ServiceCode.RESULT_INVALID


def test_an_interruption_takes_two_seconds_at_most(arena: Arena, engine: Any) -> None:
    asked: list[float] = []

    def interrupted() -> bool:
        # The first question comes when the evaluator runs.
        asked.append(time.monotonic())
        return True

    with pytest.raises(InterruptedEvaluationError):
        arena.evaluate("sleep", interrupted=interrupted)
    assert time.monotonic() - asked[0] < 2.0
    assert leftovers(engine) == []
