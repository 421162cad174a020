"""Does cheating pay? Miners of the same talent play honestly and otherwise; JSON last.

Ten miners compete for 200 rounds under the real rules, with made-up scores. One of them plays a
strategy in one market and is honest in another of the same seed; everybody else is honest in both.
The exit code is 1 if a cheat earned more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose queue.py would hide Python's

from benchmarks.miners.market import Market, draw_talents  # noqa: E402
from benchmarks.miners.plots import plot_earnings  # noqa: E402
from benchmarks.miners.strategies import CHEATS, OTHERS, UNSEEN, honest  # noqa: E402
from scoring.competition import Rules  # noqa: E402

MINERS = [f"miner-{number}" for number in range(10)]
PLACES = (0, 1, 2)
"""Who is tried, by talent: in the first market the best, in the next the second, and so on."""
# Fewer resamples and a shorter memory than the default: forty-odd markets are run.
RULES = Rules(resamples=100, window=4)


def main(argv: Sequence[str] | None = None) -> int:
    """Play every strategy and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument(
        "--markets", type=int, default=3, help="each with another seed and another miner"
    )
    parser.add_argument("--plot", type=Path, default=ROOT / "var" / "bench" / "economy.png")
    options = parser.parse_args(argv)
    start = time.process_time()
    strategies = {"honest": honest, **CHEATS, **OTHERS, **UNSEEN}
    courses = {name: [0.0] * options.rounds for name in strategies}
    moved = dict.fromkeys(strategies, 0.0)
    for seed in range(options.markets):
        talents = {t.name: t for t in draw_talents(seed, MINERS, options.rounds)}
        by_talent = sorted(MINERS, key=lambda name: -max(talents[name].releases.values()))
        tried = by_talent[PLACES[seed % len(PLACES)]]
        fair: list[dict[str, float]] = []
        for name, strategy in strategies.items():
            players = {n: (t, strategy if n == tried else honest) for n, t in talents.items()}
            shares = Market(seed, players, RULES).play(options.rounds)
            fair = fair or shares
            courses[name] = [a + s[tried] for a, s in zip(courses[name], shares, strict=True)]
            moved[name] += _moved_among_others(fair, shares, tried) / options.markets
        print(f"market {seed} played", file=sys.stderr, flush=True)
    earned = {
        name: sum(course) / options.rounds / options.markets for name, course in courses.items()
    }
    ratios = {name: round(value / earned["honest"], 4) for name, value in earned.items()}
    _print_table(earned, ratios, moved)
    shown = {name: courses[name] for name in CHEATS}
    plot_earnings(ratios, courses["honest"], shown, options.plot)
    report = {
        "rounds": options.rounds,
        "markets": options.markets,
        "miners": len(MINERS),
        "share": {name: round(value, 4) for name, value in earned.items()},
        "ratio_to_honest": {
            "cheats": {name: ratios[name] for name in CHEATS},
            "others": {name: ratios[name] for name in OTHERS},
            "cannot be seen": {name: ratios[name] for name in UNSEEN},
        },
        "moved_among_others": {name: round(value, 4) for name, value in moved.items()},
        "cheats_that_pay": [name for name in CHEATS if ratios[name] > 1.0],
        "cpu_seconds": round(time.process_time() - start, 1),
        "plot": str(options.plot),
    }
    print(json.dumps(report, indent=1))
    return 1 if report["cheats_that_pay"] else 0


def _moved_among_others(
    fair: Sequence[dict[str, float]], shares: Sequence[dict[str, float]], tried: str
) -> float:
    """Half the sum of what others gain and lose in a round, on average over rounds."""
    changes = [
        abs(after[name] - before[name])
        for before, after in zip(fair, shares, strict=True)
        for name in MINERS
        if name != tried
    ]
    return sum(changes) / 2 / len(fair)


def _print_table(
    earned: dict[str, float], ratios: dict[str, float], moved: dict[str, float]
) -> None:
    print(f"{'strategy':28} {'share':>8} {'of honest':>10} {'moved among others':>20}")
    for name, value in earned.items():
        print(f"{name:28} {value:8.4f} {ratios[name]:10.4f} {moved[name]:20.4f}")


if __name__ == "__main__":
    sys.exit(main())
