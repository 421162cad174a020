"""The ranking as people read it."""

from __future__ import annotations

from rich.console import Console
from validator_views import ALICE, BOB, commitment, forgotten, text_of, view

from neurons.validator_leaderboard import Dropped, Leaderboard, Row, as_snapshot
from neurons.validator_scores import Scores
from neurons.validator_table import Line, ranking, ranking_table
from scoring.competition import Rules, weights
from scoring.contract import Interval

RULES = Rules(round_length=1, seed_delay=0)


def row(number: int, hotkey: str, block: int, score: float) -> Row:
    return Row(
        id=number,
        hotkey=hotkey,
        repo="lab/voice",
        revision="ab" * 20,
        score=score,
        interval=Interval(low=score, high=score),
        wer=0.25,
        human_likeness=0.75,
        block=block,
    )


def shown(lines: list[Line]) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        console.print(ranking_table("a title", lines))
    return capture.get()


def test_those_that_compete_come_first_by_weight_and_others_say_why_not() -> None:
    seen = view(
        commitment(ALICE, 100, text_of(ALICE)),
        commitment(BOB, 200, text_of(BOB)),
        hotkeys=(BOB, ALICE),
    )
    board = Leaderboard("1" * 64, (row(1, ALICE, 100, 0.5), row(2, BOB, 200, 0.9)))
    snapshot, _ = as_snapshot(board, "tts", seen, forgotten, {1: "a" * 64, 2: "b" * 64}.get)
    assert snapshot is not None
    gone = Dropped(3, "5gone", "lab/gone", "its hotkey is not registered")
    for excluded, ranks in (({}, [1, 2, None]), ({1: "the chain says no"}, [1, None, None])):
        scores = Scores((snapshot,), RULES, excluded, (gone,), {})
        weighed = weights(
            [snapshot], chain=seen.participants(), rules=RULES, block=10_000, excluded=excluded
        )
        lines = ranking(weighed, scores, seen.metagraph)
        assert [line.rank for line in lines] == ranks
        assert [(line.uid, line.hotkey) for line in lines] == [
            (0, BOB),
            (1, ALICE),
            (None, "5gone"),
        ]
    assert lines[1].note == "excluded: the chain says no"
    text = shown(lines)
    for cell in ("a title", "lab/voice", "0.9000", "0.2500", "0.7500", "its hotkey is not regist"):
        assert cell in text


def test_words_of_others_command_no_terminal() -> None:
    text = shown([Line(None, None, "5x", "lab/\x1b[2Jx", note="[red]no[/red]\x07")])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]no[/red]?" in text
