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
"""Recording 1,000 prompts of 6 s in 15 s takes five cores of the kind in docs/performance.md."""

RECORDINGS_AHEAD = 2 * MOST_RECORDERS
"""Utterances that recorders work on or have at hand."""

# The thread that drives the model, and the one that hears.
_DRIVING_THREADS = 2


@dataclass(frozen=True)
class Pace:
    """How far each stage of an evaluation may be ahead of the next.

    ``spoken`` utterances, and ``blocks`` of clips that are heard together; with 0 the stage has no
    thread of its own.
    """

    spoken: int
    blocks: int

    @classmethod
    def choose(cls, request: TtsRequest, *, cores: int) -> Pace:
        """The pace for the device of ``request`` on so many ``cores``, once its voice is loaded.

        No figure depends on it.
        """
        # On the cores that speaking uses, judging would only compete with it.
        if request.device == "cpu" and cores <= _speaking_threads(request):
            return cls(0, 0)
        return cls(UTTERANCES_AHEAD, BLOCKS_AHEAD)


def recorders_for(request: TtsRequest, *, cores: int) -> int:
    """How many processes shall write clips down and measure them; 0: the thread that needs them.

    On a CPU that is 0: there, listening alone takes several times as long. Beside a GPU they are
    processes and not threads, because measuring makes many small calls of numpy, which hold the
    interpreter while the thread that feeds the GPU waits. A learned predictor is on the GPU, and
    there once.
    """
    if request.device == "cpu" or request.learned_mos is not None:
        return 0
    return min(max(cores - _DRIVING_THREADS, 0), MOST_RECORDERS)


def _speaking_threads(request: TtsRequest) -> int:
    """Packaged voices speak in one; torch was told when the checkpoint was loaded."""
    return torch.get_num_threads() if isinstance(request.synthesiser, ParlerModel) else 1
