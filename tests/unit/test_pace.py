"""Which stages run at the same time, by device and cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from scoring.contract import (
    LearnedMosSpec,
    ListedPrompts,
    ParlerModel,
    Prompt,
    ReferenceVoice,
    TtsRequest,
)
from scoring.tts.cores import usable_cores
from scoring.tts.pace import BLOCKS_AHEAD, MOST_RECORDERS, UTTERANCES_AHEAD, Pace, recorders_for

ALONE = Pace(spoken=0, blocks=0)
OVERLAPPED = Pace(UTTERANCES_AHEAD, BLOCKS_AHEAD)


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def request(device: str, *, parler: bool = True, **more: object) -> TtsRequest:
    prompts = ListedPrompts(prompts=(Prompt(index=0, text="A line.", description="A voice."),))
    voice = ParlerModel(model_dir=Path("model")) if parler else ReferenceVoice(name="hibari")
    return TtsRequest(synthesiser=voice, prompts=prompts, device=device, **more)


@pytest.mark.parametrize(("threads", "cores"), [(1, 1), (2, 2), (4, 4)])
def test_where_speaking_takes_every_core_of_the_processor_nothing_overlaps(
    threads: int, cores: int
) -> None:
    torch.set_num_threads(threads)
    assert Pace.choose(request("cpu"), cores=cores) == ALONE


def test_a_core_that_speaking_leaves_judges_meanwhile() -> None:
    torch.set_num_threads(1)
    assert Pace.choose(request("cpu"), cores=2) == OVERLAPPED
    torch.set_num_threads(2)
    assert Pace.choose(request("cpu", parler=False), cores=2) == OVERLAPPED


@pytest.mark.parametrize(("cores", "recorders"), [(1, 0), (2, 0), (3, 1), (8, 6), (64, 8)])
def test_beside_a_gpu_the_cores_that_drive_it_are_left_alone(cores: int, recorders: int) -> None:
    assert recorders <= MOST_RECORDERS
    assert recorders_for(request("cuda:1"), cores=cores) == recorders
    assert Pace.choose(request("cuda:1"), cores=cores) == OVERLAPPED


def test_on_a_processor_alone_nobody_records_for_the_others() -> None:
    assert recorders_for(request("cpu"), cores=16) == 0


def test_a_learned_predictor_is_on_the_gpu_once() -> None:
    wanted = request("cuda", learned_mos=LearnedMosSpec(model="predictor"))
    assert recorders_for(wanted, cores=16) == 0


@pytest.mark.parametrize(("value", "cores"), [("3", 3), ("", None), ("0", None), ("two", None)])
def test_a_launcher_says_how_many_cores_there_are(
    value: str, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert usable_cores() == (cores or len(os.sched_getaffinity(0)))
