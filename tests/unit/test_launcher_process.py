"""The process launcher, with small programs in the evaluator's place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scoring.contract import ReferenceVoice, SeededPrompts, TtsRequest
from voice_validation_api.launchers.base import (
    LOG_BYTES,
    Ending,
    Job,
    Limits,
    Outcome,
)
from voice_validation_api.launchers.process import ProcessLauncher

REQUEST = TtsRequest(
    synthesiser=ReferenceVoice(name="hibari"), prompts=SeededPrompts(seed="s", count=1)
)
FOREVER = "import time\nwhile True: time.sleep(60)\n"


def never() -> bool:
    return False


def launch(
    tmp_path: Path,
    program: str,
    *,
    wall_seconds: float = 60.0,
    output_bytes: int = 10**6,
    memory_bytes: int | None = None,
    gpu: int | None = None,
    interrupted: Callable[[], bool] = never,
) -> Outcome:
    """Run ``program`` in the evaluator's place; ``out`` is its output directory."""
    script = tmp_path / "program.py"
    head = "import sys, os, pathlib\nout = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
    script.write_text(head + textwrap.dedent(program))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    limits = Limits(wall_seconds, output_bytes, memory_bytes)
    launcher = ProcessLauncher([sys.executable, str(script)])
    return launcher.run(Job("tts", REQUEST, workspace, limits, gpu), interrupted)


def is_alive(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie that nobody waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still not so after the deadline"
        time.sleep(0.01)


def test_the_evaluator_gets_its_request_and_its_directory(tmp_path: Path) -> None:
    outcome = launch(
        tmp_path,
        """
        assert sys.argv[1] == "tts"
        request = pathlib.Path(sys.argv[sys.argv.index("--request") + 1])
        (out / "result.json").write_text(request.read_text())
        print("hello")
        """,
    )
    assert (outcome.ending, outcome.exit_code, outcome.log) == (Ending.EXITED, 0, "hello\n")
    written = (tmp_path / "workspace" / "out" / "result.json").read_text()
    assert TtsRequest.model_validate_json(written) == REQUEST


def test_the_environment_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "POSTGRES_URL", "ADMIN_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    program = "import json; (out / 'env').write_text(json.dumps(dict(os.environ)))"
    launch(tmp_path, program)
    environment = json.loads((tmp_path / "workspace" / "out" / "env").read_text())
    assert "secret" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert Path(environment["HOME"]).is_relative_to(tmp_path)
    assert Path(environment["TMPDIR"]).is_relative_to(tmp_path)


@pytest.mark.parametrize(("gpu", "visible"), [(None, ""), (3, "3")])
def test_the_evaluator_sees_its_gpu_and_no_other(
    tmp_path: Path, gpu: int | None, visible: str
) -> None:
    program = "(out / 'gpus').write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    launch(tmp_path, program, gpu=gpu)
    assert (tmp_path / "workspace" / "out" / "gpus").read_text() == visible


def test_the_exit_code_is_the_evaluators(tmp_path: Path) -> None:
    assert launch(tmp_path, "sys.exit(3)").exit_code == 3


def test_a_crash_shows_as_its_signal(tmp_path: Path) -> None:
    outcome = launch(tmp_path, "os.kill(os.getpid(), 11)")
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 128 + 11)
    assert "SIGSEGV" in outcome.log


def test_a_sleeper_is_killed_at_its_time_limit(tmp_path: Path) -> None:
    outcome = launch(tmp_path, FOREVER, wall_seconds=0.5)
    assert (outcome.ending, outcome.exit_code) == (Ending.TIME_LIMIT, None)
    assert outcome.seconds < 20


def test_children_die_with_the_evaluator(tmp_path: Path) -> None:
    outcome = launch(
        tmp_path,
        f"""
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
        (out / "pid").write_text(str(child.pid))
        """,
    )
    assert outcome.ending is Ending.EXITED
    child = int((tmp_path / "workspace" / "out" / "pid").read_text())
    wait_until(lambda: not is_alive(child))


def test_an_interrupted_evaluation_is_killed_at_once(tmp_path: Path) -> None:
    started = tmp_path / "workspace" / "out" / "started"
    outcome = launch(tmp_path, "(out / 'started').touch()\n" + FOREVER, interrupted=started.exists)
    assert outcome.ending is Ending.INTERRUPTED
    assert outcome.seconds < 20


def test_many_small_files_reach_the_output_limit(tmp_path: Path) -> None:
    program = """
    import itertools
    for n in itertools.count():
        (out / str(n)).write_bytes(bytes(1000))
    """
    assert launch(tmp_path, program, output_bytes=10**6).ending is Ending.OUTPUT_LIMIT


def test_files_left_at_the_end_count_too(tmp_path: Path) -> None:
    program = "[(out / str(n)).write_bytes(bytes(600)) for n in range(2)]"
    assert launch(tmp_path, program, output_bytes=1000).ending is Ending.OUTPUT_LIMIT


def test_one_file_cannot_grow_past_the_output_limit(tmp_path: Path) -> None:
    program = "(out / 'big').write_bytes(bytes(10**7))"
    outcome = launch(tmp_path, program, output_bytes=10**6)
    assert outcome.exit_code != 0
    assert (tmp_path / "workspace" / "out" / "big").stat().st_size <= 10**6


def test_memory_is_bounded(tmp_path: Path) -> None:
    outcome = launch(tmp_path, "bytearray(2**30)", memory_bytes=2**29)
    assert outcome.exit_code == 1
    assert "MemoryError" in outcome.log


def test_a_flood_of_output_keeps_its_end(tmp_path: Path) -> None:
    outcome = launch(tmp_path, "print('x' * 10**7); print('the end')")
    assert outcome.log.startswith("[99")
    assert outcome.log.endswith("the end\n")
    assert len(outcome.log) < LOG_BYTES + 100


def test_a_killed_worker_leaves_no_evaluator_running(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    evaluator = tmp_path / "evaluator.py"
    note = f"pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))"
    evaluator.write_text(f"import os, pathlib\n{note}\n{FOREVER}")
    (tmp_path / "workspace").mkdir()
    worker = f"""
import sys
from pathlib import Path
from scoring.contract import ReferenceVoice, SeededPrompts, TtsRequest
from voice_validation_api.launchers.base import Job, Limits
from voice_validation_api.launchers.process import ProcessLauncher
request = TtsRequest(synthesiser=ReferenceVoice(name="hibari"),
                     prompts=SeededPrompts(seed="s", count=1))
job = Job("tts", request, Path({str(tmp_path / "workspace")!r}), Limits(60.0, 10**6))
ProcessLauncher([sys.executable, {str(evaluator)!r}]).run(job, lambda: False)
"""
    process = subprocess.Popen([sys.executable, "-c", worker])
    try:
        wait_until(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        assert is_alive(pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until(lambda: not is_alive(pid))
