"""Where an evaluation's files lie for the engine, and where for the evaluator. Pure.

A request names paths of the worker. The evaluator sees each of them, and nothing beside it, under
``/in``. The engine mounts paths of its own machine: those of a worker that runs in a container
itself lie there below the sources of that container's mounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from scoring.contract import ParlerModel, TtsRequest

INPUT: Final = PurePosixPath("/in")
REQUEST: Final = INPUT / "request.json"
OUTPUT: Final = PurePosixPath("/out")


class HiddenPathError(OSError):
    """A path of the worker's container that lies in no mount, so that no other can be given it."""


@dataclass(frozen=True)
class Bind:
    """A file or directory of the worker and where the evaluator reads it."""

    source: Path
    target: PurePosixPath


def contained(request: TtsRequest) -> tuple[TtsRequest, tuple[Bind, ...]]:
    """``request`` as the evaluator is given it, and what it must be able to read for that."""
    binds: list[Bind] = []

    def inside(path: Path | str, name: str) -> Path:
        binds.append(Bind(Path(path), INPUT / name))
        return Path(INPUT / name)

    changes: dict[str, object] = {}
    model = request.synthesiser
    if isinstance(model, ParlerModel):
        paths = {"model_dir": inside(model.model_dir, "model")}
        if model.base_dir is not None:
            paths["base_dir"] = inside(model.base_dir, "base")
        changes["synthesiser"] = model.model_copy(update=paths)
    if Path(request.asr.model).is_absolute():
        path = str(inside(request.asr.model, "asr"))
        changes["asr"] = request.asr.model_copy(update={"model": path})
    for field in ("second_asr", "learned_mos"):
        if (spec := getattr(request, field)) is not None:
            path = str(inside(spec.model, field))
            changes[field] = spec.model_copy(update={"model": path})
    if request.recordings is not None:
        changes["recordings"] = inside(request.recordings, "recordings")
    return request.model_copy(update=changes), tuple(binds)


def engine_path(path: Path, mounts: Mapping[Path, Path] | None) -> Path:
    """The path on the engine's machine of ``path``, absolute and without links.

    ``mounts`` maps what the worker's container has mounted to where that lies; None: the worker
    runs on the engine's machine. Raises HiddenPathError.
    """
    if mounts is None:
        return path
    for folder in (path, *path.parents):
        if folder in mounts:
            return mounts[folder] / path.relative_to(folder)
    raise HiddenPathError(
        f"{path} lies in the worker's own container, where an evaluator cannot see it: mount its "
        "directory into the worker, as in docker run -v /srv/models:/models:ro"
    )
