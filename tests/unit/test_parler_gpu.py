"""The engine on a GPU: the same tokens as on the CPU, and recordings that replay them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniatures import DESCRIPTION
from test_parler_one_query import torchs

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler import ParlerEngine, SpeakRequest, one_query
from scripts.make_miniature import MiniatureOptions, make_miniature

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

GOLDEN = Path(__file__).parents[1] / "golden"
VARIANTS = sorted(path.stem.removeprefix("parler_") for path in GOLDEN.glob("parler_*.json"))
TEXTS = ("Look down.", "No.", "She said hello and walked home.", "What time is it?", "Go on.")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    make_miniature(directory, seed=1)
    return directory


def _golden(variant: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"parler_{variant}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_equal_the_cpus_which_equal_the_references(
    variant: str, tmp_path: Path
) -> None:
    golden = _golden(variant)
    make_miniature(tmp_path, seed=golden["seed"], options=MiniatureOptions(**golden["options"]))
    prompts = [one["prompt"] for one in golden["spoken"]]
    here, there = (
        ParlerEngine.load(tmp_path, device=device, precision="float32").greedy(
            prompts, golden["description"]
        )
        for device in ("cpu", "cuda")
    )
    for on_cpu, on_gpu in zip(here, there, strict=True):
        assert on_gpu.columns == on_cpu.columns
        assert torch.equal(on_gpu.codes, on_cpu.codes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(4, 4, 64), (4, 2, 8), (3, 1, 5)])
def test_the_kernel_mixes_as_torch_does(
    heads: int, kv_heads: int, width: int, dtype: torch.dtype
) -> None:
    stream = torch.Generator().manual_seed(0)
    queries = torch.randn(4, heads, 1, width, generator=stream).to("cuda", dtype)
    cache = torch.randn(2, 2 * kv_heads, 144, width, generator=stream).to("cuda", dtype)
    rows, lengths = [1, 0, 1, 1], [1, 64, 65, 144]
    assert one_query.serves(queries.new_empty(4, 1, heads * width))
    places = torch.tensor(rows, device="cuda"), torch.tensor(lengths, device="cuda")
    found = one_query.attend(queries, cache, *places)
    exact = torchs(queries.float(), cache.float(), rows, lengths)
    close = {"rtol": 2**-7, "atol": 1e-3} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(found.float(), exact, **close)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_request_sounds_the_same_whatever_its_neighbours(
    model_dir: Path, precision: Any
) -> None:
    engine = ParlerEngine.load(model_dir, device="cuda", precision=precision)
    requests = [SpeakRequest(t, DESCRIPTION, n, 1.0) for n, t in enumerate(TEXTS * 60)]
    together = {spoken.index: spoken for spoken in engine.speak(requests)}
    assert len(together) == len(requests)
    for place in (0, 7, 299):
        [alone] = engine.speak([requests[place]])
        assert alone.audio is not None
        other = together[place].audio
        assert other is not None
        assert alone.audio.shape == other.shape
        np.testing.assert_allclose(alone.audio, other, atol=1e-4)


def test_what_is_streamed_joins_to_what_is_spoken(model_dir: Path) -> None:
    engine = ParlerEngine.load(model_dir, device="cuda")
    request = SpeakRequest(TEXTS[2], DESCRIPTION, 3, 2.0)
    [whole] = engine.speak([request])
    assert whole.audio is not None
    joined = np.concatenate(list(engine.stream(request)))
    np.testing.assert_allclose(joined, whole.audio, atol=1e-3)


def test_too_little_memory_is_said_before_it_is_taken(model_dir: Path) -> None:
    with pytest.raises(ScoringError) as caught:
        ParlerEngine.load(model_dir, device="cuda", memory_limit=1_000)
    assert caught.value.code is FailureCode.OUT_OF_MEMORY


def test_a_device_that_is_not_there_is_said_so(model_dir: Path) -> None:
    with pytest.raises(ScoringError) as caught:
        ParlerEngine.load(model_dir, device="cuda:99")
    assert caught.value.code is FailureCode.DEVICE_UNAVAILABLE
