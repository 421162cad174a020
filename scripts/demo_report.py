"""What is left of a demo: the leaderboard with the chain's weights, the audio, and a table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from scoring.contract import Aggregate, Interval
from utilities.tables import Row, listing, ranking_table, score_text

HEADINGS = ("rank", "model", "score (95 % interval)", "WER", "likeness", "win rate", "weight")


def with_chain_weights(board: dict[str, Any], weights: Mapping[str, float]) -> dict[str, Any]:
    """The API's leaderboard, with the weights by hotkey that the chain shows."""
    rows = [{**row, "weight": weights.get(row["hotkey"], 0.0)} for row in board["rows"]]
    return {**board, "rows": rows}


def keep(board: dict[str, Any], *, audio: Path, demo: Path) -> None:
    """Leave the leaderboard and the audio where people look for them."""
    (demo / "leaderboard.json").write_text(json.dumps(board, indent=2) + "\n", "utf-8")
    for row in board["rows"]:
        _copy_audio(audio / str(row["id"]), demo / "audio" / row["repo"].split("/")[1])
    for row in board["calibration"]:
        _copy_audio(audio / "calibration" / row["name"], demo / "audio" / row["name"])


def report(board: dict[str, Any], console: Console, demo: Path) -> None:
    """Show who won, and where to look further."""
    rows = [
        (
            str(row["rank"]),
            row["repo"],
            score_text(_figures(row)),
            f"{row['wer']:.3f}",
            f"{row['human_likeness']:.3f}",
            "-" if row["win_rate"] is None else f"{row['win_rate']:.3f}",
            f"{row['weight']:.3f}",
        )
        for row in board["rows"]
    ]
    anchors = [Row(r["name"], r["status"], _figures(r)) for r in board["calibration"]]
    title = f"Round {board['round']}, with the weights read back from the chain"
    console.print(listing(title, HEADINGS, rows))
    console.print(ranking_table("Calibration: reference voices on the same prompts", anchors))
    console.print(
        "The three miniatures have random weights: they babble, and score near zero. Entries whose "
        "intervals overlap tie; of two that tie, the one committed first wins."
    )
    console.print(
        f"figures: {demo / 'leaderboard.json'}    audio: {demo / 'audio'}/<name>/*.wav    "
        f"logs: {demo / 'logs'}/*.log",
        soft_wrap=True,
    )


def _copy_audio(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for wav in sorted(source.rglob("*.wav")):
        shutil.copy2(wav, target / wav.name)


def _figures(row: dict[str, Any]) -> Aggregate:
    return Aggregate(
        score=row["score"],
        interval=Interval(**row["interval"]),
        wer=row["wer"],
        human_likeness=row["human_likeness"],
        scored=0,
        unscored=0,
    )
