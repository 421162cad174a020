"""Time parler-tts's generate() for a benchmark that runs in another environment.

One JSON object a line. In: ``{"prompts": […], "description": "…"}``, spoken as one padded batch.
Out, once at the start: ``{"ready": true, "threads": 1, "versions": {…}}``; then for each request
``{"seconds": …, "cpu_seconds": …, "columns": […]}``. The codec is left out: it answers with one
silent sample. Tokens are chosen greedily.

    python scripts/reference/serve_tokens.py MODEL_DIR
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import standin  # noqa: F401 - before parler_tts
import torch
from parler_tts import ParlerTTSForConditionalGeneration
from transformers import AutoTokenizer, logging
from transformers import __version__ as transformers_version


class TokenTimer:
    """parler-tts with one checkpoint and without its codec."""

    def __init__(self, directory: str) -> None:
        self._model = ParlerTTSForConditionalGeneration.from_pretrained(directory).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
        self._grid = torch.empty(0)
        sample = self._model._sample

        def sample_and_keep(*args: Any, **kwargs: Any) -> Any:
            self._grid = sample(*args, **kwargs)
            return self._grid

        def silence(audio_codes: torch.Tensor, **_: Any) -> Any:
            return SimpleNamespace(audio_values=torch.zeros(audio_codes.shape[0], 1, 1))

        self._model._sample, self._model.audio_encoder.decode = sample_and_keep, silence

    def generate(self, prompts: list[str], description: str) -> dict[str, Any]:
        """Speak the prompts as one batch."""
        started, cpu_started = time.perf_counter(), time.process_time()
        described = self._tokenizer([description] * len(prompts), return_tensors="pt")
        prompted = self._tokenizer(prompts, return_tensors="pt", padding=True)
        self._model.generate(
            input_ids=described.input_ids,
            attention_mask=described.attention_mask,
            prompt_input_ids=prompted.input_ids,
            prompt_attention_mask=prompted.attention_mask,
            do_sample=False,
        )
        return {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu_started,
            "columns": [self._grid.shape[1]] * len(prompts),
        }


def main() -> None:
    """Answer requests until the input ends."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print must not be taken for an answer
    timer = TokenTimer(sys.argv[1])
    versions = {"torch": torch.__version__, "transformers": transformers_version}
    _answer(answers, {"ready": True, "threads": torch.get_num_threads(), "versions": versions})
    for line in sys.stdin:
        request = json.loads(line)
        _answer(answers, timer.generate(request["prompts"], request["description"]))


def _answer(stream: Any, value: dict[str, Any]) -> None:
    print(json.dumps(value), file=stream, flush=True)


if __name__ == "__main__":
    main()
