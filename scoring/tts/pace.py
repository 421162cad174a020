"""How far each stage of an evaluation may be ahead of the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from scoring.contract import ParlerModel, TtsRequest

UTTERANCES_AHEAD = 4
"""Spoken and not yet written down. An engine finishes several at once; more would only be kept."""

BLOCKS_AHEAD = 2
"""Blocks of clips made ready while one is heard: one in hand and one in the making."""

MOST_RECORDERS = 8
"""Judging 1,000 prompts of 6 s in 15 s takes five cores of the kind in docs/performance.md."""

# The thread that drives the model, and the one that hears.
_DRIVING_THREADS = 2


@dataclass(frozen=True)
class Pace:
    """How far each stage of an evaluation may be ahead of the next.

    ``spoken`` utterances, and ``blocks`` of clips that are heard together; with 0 the stage has no
    thread of its own. ``recorders`` are the processes that write down and measure; with 0 whoever
    needs a clip does so.
    """

    spoken: int
    blocks: int
    recorders: int

    @classmethod
    def choose(cls, request: TtsRequest, *, cores: int) -> Pace:
        """The pace for the device of ``request`` on so many ``cores``; no figure depends on it."""
        if request.device == "cpu":
            # On the cores that speaking uses, judging would only compete with it.
            spoken = UTTERANCES_AHEAD if cores > _speaking_threads(request) else 0
            return cls(spoken, blocks=0, recorders=0)
        # Processes, because a third of measuring is Python itself: beside the thread that feeds
        # the GPU, threads would make it wait. A learned predictor is on the GPU, and there once.
        spare = 0 if request.learned_mos is not None else cores - _DRIVING_THREADS
        recorders = min(max(spare, 0), MOST_RECORDERS)
        return cls(UTTERANCES_AHEAD, BLOCKS_AHEAD, recorders)


def _speaking_threads(request: TtsRequest) -> int:
    """Packaged voices speak in one; torch was told when the checkpoint was loaded."""
    return torch.get_num_threads() if isinstance(request.synthesiser, ParlerModel) else 1
