"""Paths of the worker, of the engine and of the evaluator."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from scoring.contract import (
    AsrSpec,
    CtcSpec,
    LearnedMosSpec,
    ParlerModel,
    ReferenceVoice,
    SeededPrompts,
    TtsRequest,
)
from voice_validation_api.launchers.docker_paths import (
    Bind,
    HiddenPathError,
    contained,
    engine_path,
)

PROMPTS = SeededPrompts(seed="s", count=3)
FULL = TtsRequest(
    synthesiser=ParlerModel(
        model_dir=Path("/var/work/1/model"), base_dir=Path("/models/base"), revision="ab" * 20
    ),
    prompts=PROMPTS,
    asr=AsrSpec(engine="openai-whisper", model="/models/whisper"),
    second_asr=CtcSpec(model="/models/ctc"),
    learned_mos=LearnedMosSpec(model="/models/mos"),
    recordings=Path("/data/people"),
    device="cuda:0",
    seed=7,
    max_seconds=12.0,
)


def test_every_path_of_a_request_is_replaced_and_mounted() -> None:
    request, binds = contained(FULL)
    assert {(str(bind.source), str(bind.target)) for bind in binds} == {
        ("/var/work/1/model", "/in/model"),
        ("/models/base", "/in/base"),
        ("/models/whisper", "/in/asr"),
        ("/models/ctc", "/in/second_asr"),
        ("/models/mos", "/in/learned_mos"),
        ("/data/people", "/in/recordings"),
    }
    told = request.model_dump_json()
    assert not any(str(bind.source) in told for bind in binds)
    assert all(f'"{bind.target}"' in told for bind in binds)


def test_nothing_but_paths_is_changed() -> None:
    request, _ = contained(FULL)
    assert TtsRequest.model_validate_json(request.model_dump_json()) == request
    assert isinstance(request.synthesiser, ParlerModel)
    assert request.synthesiser.revision == "ab" * 20
    assert request.asr.engine == "openai-whisper"
    same = ("prompts", "device", "seed", "max_seconds")
    assert [getattr(request, name) for name in same] == [getattr(FULL, name) for name in same]


@pytest.mark.parametrize("asr", ["packaged", "large-v3-turbo"])
def test_a_recogniser_by_name_and_a_voice_need_no_mount(asr: str) -> None:
    request = TtsRequest(
        synthesiser=ReferenceVoice(name="hibari"), prompts=PROMPTS, asr=AsrSpec(model=asr)
    )
    assert contained(request) == (request, ())


def test_a_miniature_brings_one_mount() -> None:
    request = TtsRequest(synthesiser=ParlerModel(model_dir=Path("/m")), prompts=PROMPTS)
    assert contained(request)[1] == (Bind(Path("/m"), PurePosixPath("/in/model")),)


def test_a_worker_on_the_engines_machine_names_its_own_paths() -> None:
    assert engine_path(Path("/srv/var/work"), None) == Path("/srv/var/work")


MOUNTS = {
    Path("/app/var"): Path("/engine/volumes/0f/_data"),
    Path("/app/var/models"): Path("/srv/models"),
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/app/var/work/1/model", "/engine/volumes/0f/_data/work/1/model"),
        ("/app/var", "/engine/volumes/0f/_data"),
        ("/app/var/models/base", "/srv/models/base"),
    ],
)
def test_a_worker_in_a_container_names_the_source_of_its_mount(path: str, found: str) -> None:
    assert engine_path(Path(path), MOUNTS) == Path(found)


@pytest.mark.parametrize("path", ["/app/variable", "/models", "/"])
def test_what_only_the_workers_container_has_is_refused_with_a_remedy(path: str) -> None:
    with pytest.raises(HiddenPathError, match="docker run -v"):
        engine_path(Path(path), MOUNTS)
