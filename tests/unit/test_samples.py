"""Which clips are heard together."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scoring.contract import Prompt
from scoring.tts.clips import Clip
from scoring.tts.samples import in_blocks


def clip(position: int) -> Clip:
    prompt = Prompt(index=100 + position, text="A line.", description="A voice.")
    return Clip(position, prompt, 0, Path("clip.wav"), truncated=False, outcome="silent")


@given(st.data(), st.integers(1, 40), st.integers(1, 8))
def test_who_is_heard_together_does_not_depend_on_who_was_spoken_first(
    data: st.DataObject, count: int, size: int
) -> None:
    order = data.draw(st.permutations(range(count)))
    spoken: list[int] = []

    def clips():
        for position in order:
            spoken.append(position)
            yield clip(position)

    blocks = []
    for block in in_blocks(clips(), size, count):
        places = [c.position for c in block]
        blocks.append(places)
        # As soon as its last clip is there.
        assert spoken[-1] in places

    neighbours = [list(range(n, min(n + size, count))) for n in range(0, count, size)]
    assert sorted(blocks) == neighbours


def test_a_block_with_a_prompt_that_was_never_answered_is_never_heard() -> None:
    answered = [clip(n) for n in (0, 1, 2, 2, 4, 5)]
    assert [[c.position for c in b] for b in in_blocks(answered, 3, 6)] == [[0, 1, 2]]
