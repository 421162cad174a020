"""From prompts to samples: speak, record, listen, each while the one before goes on.

    speak -> record (write, read back, measure) -> blocks of neighbours -> perturb -> listen

Everything between two stages is bounded, so that a slow stage holds the ones before it back. What
waits for the rest of its block waits on disk. No figure depends on who was faster: what is heard
together follows from the places of the prompts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

import torch

from scoring.asr.base import heard_at_a_time
from scoring.contract import Prompt, Sample, TtsRequest
from scoring.tts.ahead import Ahead, mapped
from scoring.tts.clips import (
    Clip,
    Measured,
    Perturbed,
    Spoken,
    perturbed,
    record,
    record_here,
)
from scoring.tts.judge import Judge, unscored
from scoring.tts.pace import BLOCKS_AHEAD, RECORDINGS_AHEAD, Pace
from scoring.tts.seeds import prompt_seed
from scoring.tts.synthesiser import Synthesiser
from scoring.tts.timings import Timings

Progress = Callable[[int, int], None]
"""Called with (prompts done, prompts in all)."""

AUDIO = "audio"
"""Where the clips lie below the output."""


def samples_of(
    request: TtsRequest,
    prompts: Sequence[Prompt],
    synthesiser: Synthesiser,
    judge: Judge,
    out: Path,
    *,
    pace: Pace,
    pool: Executor | None,
    timings: Timings,
    progress: Progress,
) -> dict[int, Sample]:
    """Speak and judge; samples by the place of their prompt, as far as the engine answered.

    ``pool`` are the `recorders`, where there are any. Raises ScoringError (DISK_FULL,
    OUT_OF_MEMORY) and whatever speaking raises. No thread is left, whatever happens.
    """
    (out / AUDIO).mkdir(parents=True, exist_ok=True)
    samples: dict[int, Sample] = {}
    progress(0, len(prompts))
    with Ahead() as ahead, timings.stage("wall"):
        spoken = ahead.of(_spoken(request, prompts, synthesiser, out, timings), pace.spoken)
        clips = _recorded(spoken, judge, pool, timings)
        blocks = in_blocks(clips, heard_at_a_time(request.device), len(prompts))
        for block in ahead.of(_perturbed(blocks, pool, timings), pace.blocks):
            with timings.stage("listen"):
                heard = listen(block, judge)
            for clip, sample in zip(block.clips, heard, strict=True):
                samples[clip.position] = sample
                progress(len(samples), len(prompts))
    return samples


def in_blocks(clips: Iterable[Clip], size: int, count: int) -> Iterator[tuple[Clip, ...]]:
    """Clips in blocks of ``size`` neighbours among ``count`` prompts, as each block is complete."""
    waiting: dict[int, dict[int, Clip]] = {}
    for clip in clips:
        number = clip.position // size
        block = waiting.setdefault(number, {})
        block[clip.position] = clip
        if len(block) == min(size, count - number * size):
            del waiting[number]
            yield tuple(block[place] for place in sorted(block))


def listen(block: Perturbed, judge: Judge) -> list[Sample]:
    """A sample for each clip; those that can be judged are heard together."""
    heard = iter(judge.hear(block.audios))
    return [
        unscored(clip.prompt, clip.outcome)
        if isinstance(clip.outcome, str)
        else _sample(clip, clip.outcome, next(heard), judge)
        for clip in block.clips
    ]


def _sample(clip: Clip, measured: Measured, heard: Sequence[str], judge: Judge) -> Sample:
    sample = judge.sample(clip.prompt, measured.seconds, heard, measured.likeness)
    return sample.model_copy(
        update={
            "audio": f"{AUDIO}/{clip.path.name}",
            "audio_digest": measured.digest,
            "truncated": clip.truncated,
        }
    )


def _spoken(
    request: TtsRequest,
    prompts: Sequence[Prompt],
    synthesiser: Synthesiser,
    out: Path,
    timings: Timings,
) -> Iterator[Spoken]:
    # OpenMP counts by thread: in a new one, what loading the model set holds once torch is told.
    torch.set_num_threads(torch.get_num_threads())
    # Never more utterances than prompts, whatever the synthesiser does.
    utterances = islice(synthesiser.speak(prompts), len(prompts))
    for utterance in timings.each("speak", utterances):
        prompt = prompts[utterance.index]
        path = out / AUDIO / f"{prompt.index:05d}.wav"
        yield Spoken(prompt, prompt_seed(request.seed, prompt), path, utterance)


def _recorded(
    spoken: Iterator[Spoken], judge: Judge, pool: Executor | None, timings: Timings
) -> Iterator[Clip]:
    def here(item: Spoken) -> Clip:
        return record(item, judge.likeness)

    work = here if pool is None else record_here
    for clip in mapped(pool, work, spoken, RECORDINGS_AHEAD):
        timings.add("record", clip.busy)
        yield clip


def _perturbed(
    blocks: Iterator[tuple[Clip, ...]], pool: Executor | None, timings: Timings
) -> Iterator[Perturbed]:
    for block in mapped(pool, perturbed, blocks, BLOCKS_AHEAD):
        timings.add("perturb", block.busy)
        yield block
