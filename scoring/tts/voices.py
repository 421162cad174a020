"""Reference voices: a packaged synthesiser that shows what good and bad speech score.

They go through the same path as a submission. hibari clean is close to the best there is,
hibari in noise should lose human likeness, hibari speaking other words should lose everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import hibari
import numpy as np
from numpy.typing import NDArray

from scoring.audio import Audio
from scoring.contract import Prompt, SynthesiserInfo
from scoring.tts.synthesiser import Synthesiser, Utterance

NOISE_SNR_DB = 5.0
"""White noise this far below the speech: understood with effort, and no pleasure to hear."""

# Words for the voice that does not say what it is asked to; none is common in conversation.
_OTHER_WORDS = (
    "granite lanterns drifted past copper orchards while twelve sailors painted velvet "
    "bridges beneath northern thunder seven foxes polished marble kettles near frozen harbours "
    "crimson pilots measured hollow mountains using borrowed ribbons thirty gardeners folded "
    "wooden curtains across silent deserts bitter almonds tumbled through glass chimneys"
)

Wording = Callable[[Prompt], str]
Channel = Callable[[NDArray[np.float32], Prompt], NDArray[np.float32]]


@dataclass(frozen=True)
class HibariVoice:
    """hibari's built-in voice: ``wording`` decides what it says, ``channel`` how it sounds."""

    info: SynthesiserInfo
    tts: hibari.Hibari
    wording: Wording
    channel: Channel

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        """Yield the prompts in order; the same prompt always sounds the same."""
        for index, prompt in enumerate(prompts):
            samples = self.tts(self.wording(prompt), seed=0)
            if len(samples) == 0:
                yield Utterance(index, None, truncated=False, failure="no word to pronounce")
                continue
            audio = Audio(self.channel(samples, prompt), hibari.SAMPLE_RATE)
            yield Utterance(index, audio, truncated=False, failure=None)


def load_voice(name: str) -> Synthesiser:
    """Load ``hibari``, ``hibari-noise`` or ``hibari-wrong-text``. Raises KeyError for others."""
    wording, channel = _VOICES[name]
    info = SynthesiserInfo(kind="voice", name=name)
    return HibariVoice(info, hibari.Hibari(threads=1), wording, channel)


def _as_asked(prompt: Prompt) -> str:
    return prompt.text


def _other_words(prompt: Prompt) -> str:
    """As many words as were asked for, and none of them."""
    words = cycle(_OTHER_WORDS.split())
    start = prompt.index % len(_OTHER_WORDS.split())
    said = islice(words, start, start + len(prompt.text.split()))
    return " ".join(said).capitalize() + "."


def _clean(samples: NDArray[np.float32], _prompt: Prompt) -> NDArray[np.float32]:
    return samples


def _noisy(samples: NDArray[np.float32], prompt: Prompt) -> NDArray[np.float32]:
    noise = np.random.default_rng(prompt.index).standard_normal(len(samples), dtype=np.float32)
    level = np.sqrt(np.mean(samples**2)) * 10.0 ** (-NOISE_SNR_DB / 20.0)
    return np.asarray(samples + noise * level, dtype=np.float32)


_VOICES: Mapping[str, tuple[Wording, Channel]] = {
    "hibari": (_as_asked, _clean),
    "hibari-noise": (_as_asked, _noisy),
    "hibari-wrong-text": (_other_words, _clean),
}
