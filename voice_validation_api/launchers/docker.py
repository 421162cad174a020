"""Runs the evaluator in a container of its own, without network, rights or secrets.

The container sees the request and the models that it names, read-only, and writes to memory only.
What it wrote is copied out once it has ended, see ``docker_output.py``. What it may use is in
``docker_limits.py``; what a killed worker leaves is removed by ``docker_orphans.py``.
"""

from __future__ import annotations

import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from docker.errors import APIError, ImageNotFound

from scoring.contract import ParlerModel
from voice_validation_api.launchers.base import (
    LOG_BYTES,
    Ending,
    Job,
    LauncherUnavailableError,
    Outcome,
)
from voice_validation_api.launchers.docker_engine import (
    EngineError,
    OwnContainer,
    connect,
    engine_errors,
    own_container,
)
from voice_validation_api.launchers.docker_limits import (
    OUTPUT_FILES,
    Place,
    evaluator_arguments,
    keeper_arguments,
    volume_arguments,
)
from voice_validation_api.launchers.docker_orphans import PREFIX, remove_orphans, this_worker
from voice_validation_api.launchers.docker_output import OutputTooLargeError, copy_out
from voice_validation_api.launchers.docker_paths import OUTPUT, contained, engine_path

EVALUATOR_IMAGE: Final = "speech"
POLL_SECONDS: Final = 0.2
SWEEP_SECONDS: Final = 60.0
START_TRIES: Final = 3
STOP_SECONDS: Final = 120.0
"""From the first kill. The engine itself waits for some ten seconds of it each time."""


class DockerLauncher:
    """Runs ``image`` with the arguments ``tts --request FILE --out DIRECTORY``."""

    def __init__(self, image: str = EVALUATOR_IMAGE) -> None:
        """Raises LauncherUnavailableError when there is no engine, or not this image on it."""
        self._image = image
        self._client = connect()
        try:
            self._machine_memory = self._look()
            self._own: OwnContainer | None = own_container(self._client)
            self._me = this_worker(self._own)
            self._swept = time.monotonic()
            remove_orphans(self._client, self._me, now=time.time())
        except EngineError as error:
            raise LauncherUnavailableError(f"{error}; is it healthy?") from error

    def run(self, job: Job, interrupted: Callable[[], bool]) -> Outcome:
        """See ``Launcher.run``. Raises OSError when workspace or engine fail."""
        self._sweep()
        place = self._prepare(job)
        with engine_errors("running an evaluation"), ExitStack() as running:
            running.enter_context(self._volume(volume_arguments(job, place)))
            keeper = running.enter_context(self._container(keeper_arguments(job, place)))
            self._start(keeper)
            arguments = evaluator_arguments(job, place, machine_memory=self._machine_memory)
            evaluator = running.enter_context(self._container(arguments))
            started = time.monotonic()
            self._start(evaluator)
            ending = self._watch(evaluator, interrupted, started + job.limits.wall_seconds)
            seconds = time.monotonic() - started
            state = self._stop(evaluator)
            text = self._log_of(evaluator, state)
            if ending is Ending.EXITED:
                try:
                    self._copy_out(keeper, job)
                except OutputTooLargeError as error:
                    ending, text = Ending.OUTPUT_LIMIT, f"{text}\n[it left {error}]\n"
            return Outcome(
                ending=ending,
                exit_code=state["ExitCode"] if ending is Ending.EXITED else None,
                seconds=seconds,
                log=text,
            )

    def _look(self) -> int:
        """See that the image is there; the bytes of the machine's memory."""
        with engine_errors("looking for the evaluator's image"):
            try:
                self._client.api.inspect_image(self._image)
            except ImageNotFound as error:
                raise LauncherUnavailableError(
                    f"the Docker engine has no image {self._image!r}: build it with "
                    f"docker build -f evaluator.Dockerfile -t {self._image} ."
                ) from error
            return int(self._client.info()["MemTotal"])

    def _prepare(self, job: Job) -> Place:
        """Write the request, let the evaluator's account read it and the model, find all inputs."""
        request, binds = contained(job.request)
        path = job.workspace / "request.json"
        path.write_text(request.model_dump_json(), "utf-8")
        job.out.mkdir(exist_ok=True)
        _open(path)
        if isinstance(job.request.synthesiser, ParlerModel):
            # The worker's own download; other inputs are the operator's.
            _open(job.request.synthesiser.model_dir)
        mounts = None if self._own is None else self._own.mounts
        evaluation = f"{PREFIX}-{secrets.token_hex(8)}"
        return Place(
            image=self._image,
            volume=evaluation,
            request=engine_path(path.resolve(), mounts),
            inputs=tuple((engine_path(b.source.resolve(), mounts), str(b.target)) for b in binds),
            labels=self._me.labels(evaluation, expires=time.time() + job.limits.wall_seconds),
        )

    def _sweep(self) -> None:
        if time.monotonic() > self._swept + SWEEP_SECONDS:
            self._swept = time.monotonic()
            remove_orphans(self._client, self._me, now=time.time())

    @contextmanager
    def _volume(self, arguments: dict[str, Any]) -> Iterator[None]:
        self._client.volumes.create(**arguments)
        try:
            yield
        finally:
            self._client.api.remove_volume(arguments["name"], force=True)

    @contextmanager
    def _container(self, arguments: dict[str, Any]) -> Iterator[str]:
        container = self._client.containers.create(**arguments)
        try:
            yield container.id
        finally:
            self._client.api.remove_container(container.id, v=True, force=True)

    def _start(self, container: str) -> None:
        """Start it. A busy engine may lose the process that it has prepared (500, "cannot start a
        stopped process"): then nothing of it has run, and it is asked again."""
        for tries_left in reversed(range(START_TRIES)):
            try:
                self._client.api.start(container)
                return
            except APIError as error:  # noqa: PERF203 - to try again is the point
                if not tries_left or not error.is_server_error():
                    raise

    def _watch(self, container: str, interrupted: Callable[[], bool], deadline: float) -> Ending:
        while self._state(container)["Running"]:
            if interrupted():
                return Ending.INTERRUPTED
            if time.monotonic() > deadline:
                return Ending.TIME_LIMIT
            time.sleep(POLL_SECONDS)
        return Ending.EXITED

    def _state(self, container: str) -> dict[str, Any]:
        state: dict[str, Any] = self._client.api.inspect_container(container)["State"]
        return state

    def _stop(self, container: str) -> dict[str, Any]:
        """Kill what still runs and see it gone; how it ended. Raises EngineError."""
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            refusal: APIError | None = None
            try:
                self._client.api.kill(container)
            except APIError as error:
                # It has ended by itself (409), or a thousand processes take longer to die than the
                # engine waits for (500): what counts is whether it runs.
                refusal = error
            state = self._state(container)
            if not state["Running"]:
                return state
            if time.monotonic() > deadline:
                raise EngineError(f"{container} still runs after {STOP_SECONDS:.0f} s: {refusal}")
            time.sleep(POLL_SECONDS)

    def _copy_out(self, keeper: str, job: Job) -> None:
        """Fill ``job.out``. Raises OutputTooLargeError."""
        chunks, _ = self._client.api.get_archive(keeper, str(OUTPUT))
        # Closed, or the engine would go on sending what is not wanted.
        with closing(chunks):
            limit = job.limits.output_bytes
            copy_out(chunks, job.out, max_bytes=limit, max_entries=OUTPUT_FILES)

    def _log_of(self, container: str, state: dict[str, Any]) -> str:
        # All that the engine kept: docker_limits.py bounds it.
        content: bytes = self._client.api.logs(container, tail="all")
        text = content[-LOG_BYTES:].decode("utf-8", "replace")
        if len(content) > LOG_BYTES:
            text = f"[earlier output left out]\n{text}"
        if state["OOMKilled"]:
            text += "\n[a process was killed at the limit of memory]\n"
        return text


def _open(path: Path) -> None:
    """Let every account read ``path`` and what is below it. Links are left alone."""
    for entry in (path, *path.rglob("*")):
        facts = entry.lstat()
        wanted = 0o555 if stat.S_ISDIR(facts.st_mode) else 0o444
        if not stat.S_ISLNK(facts.st_mode) and facts.st_mode & wanted != wanted:
            entry.chmod(stat.S_IMODE(facts.st_mode) | wanted)
