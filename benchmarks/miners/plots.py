"""The picture of what each strategy earns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


def plot_earnings(
    earnings: Mapping[str, float],
    honest: Sequence[float],
    cheats: Mapping[str, Sequence[float]],
    to: Path,
) -> None:
    """Bars of each strategy's part of what the same miner earns honestly, and the course of it.

    ``honest`` and ``cheats`` are shares by round, summed over the miners that were tried.
    """
    mpl.rcParams["font.size"] = 9
    figure = Figure(figsize=(11, 5), layout="constrained")
    bars, course = figure.subplots(1, 2)
    names = sorted(earnings, key=lambda name: earnings[name])
    bars.barh(names, [earnings[name] for name in names], color="#4477aa")
    bars.axvline(1.0, color="black", linewidth=1)
    bars.set_xlabel("earned, relative to the same miner being honest")
    for name, shares in {"honest": honest, **cheats}.items():
        course.plot(_running_sum(shares), label=name, linewidth=2.5 if name == "honest" else 1)
    course.set_xlabel("round")
    course.set_ylabel("sum of shares so far, all miners tried")
    course.legend(fontsize=7)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, dpi=120)


def _running_sum(shares: Sequence[float]) -> list[float]:
    sums = [0.0]
    for share in shares:
        sums.append(sums[-1] + share)
    return sums
