"""Who is taken for a copy? Real fine-tunes of a miniature, and copies in disguise; JSON last.

A miniature is trained on a made-up language, then fine-tuned ten times. Copies of the fine-tunes
are disguised in every way that docs/scoring.md names, and all sketches are compared as the service
compares them.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose queue.py would hide Python's

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.disguises.cases import PRETRAINING, Pair, Workshop  # noqa: E402
from benchmarks.disguises.training import Recipe  # noqa: E402
from scoring.contract import SKETCH_VALUES, Sketch  # noqa: E402
from voice_validation_api.copies import Shelf, likeness, near_copy  # noqa: E402

TUNES = (
    Recipe((1,), 1, 300, 4e-4),
    Recipe((2,), 2, 300, 4e-4),
    Recipe((3,), 3, 200, 4e-4),
    Recipe((4,), 4, 300, 1e-4),
    Recipe((5,), 5, 300, 1e-4),
    Recipe((6,), 6, 200, 1e-4),
    Recipe((7,), 7, 200, 3e-5),
    Recipe((8,), 8, 200, 3e-5),
)
TWINS = (Recipe((1,), 11, 300, 4e-4), Recipe((4,), 14, 300, 1e-4), Recipe((7,), 17, 200, 3e-5))
"""The same data and settings as one of the others, and other batches."""
STORED = 10_000


def main(argv: Sequence[str] | None = None) -> int:
    """Make the cases, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args(argv)
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Workshop.open(Path(folder), PRETRAINING))
    found["comparison"] = compare_cost(STORED)
    print(json.dumps(found))
    return 0


def measure(workshop: Workshop) -> dict[str, object]:
    """Misses by disguise, and false alarms among honest pairs."""
    tunes = [workshop.tuned(recipe) for recipe in (*TUNES, *TWINS)]
    sketches = [workshop.sketches(tensors) for tensors in tunes]
    recipes = (*TUNES, *TWINS)
    shelf = Shelf.of(sketches)
    alarms = _alarms(recipes, sketches)
    misses: dict[str, list[Recipe]] = defaultdict(list)
    seconds = []
    for n, recipe in enumerate(TUNES):
        copies = workshop.disguised(tunes[n], tunes[(n + 1) % len(TUNES)], seed=n)
        for name, copy in copies:
            start = time.perf_counter()
            sketched = workshop.sketches(copy)
            seconds.append(time.perf_counter() - start)
            missed = not _taken(sketched, sketches[n], shelf)
            misses[name] += [recipe] if missed else []
    for name, missed_of in misses.items():
        print(f"{name:30} {len(missed_of)} of {len(TUNES)} missed {_settings(missed_of)}")
    for name, (alarmed, pairs) in alarms.items():
        print(f"{name:30} {alarmed} of {pairs} pairs taken for copies")
    return {
        "copies": len(misses) * len(TUNES),
        "missed": {name: len(m) for name, m in misses.items()},
        "false_alarms": {name: {"taken": t, "pairs": p} for name, (t, p) in alarms.items()},
        "seconds_to_load_and_sketch": float(np.median(seconds)),
    }


def _alarms(recipes: Sequence[Recipe], sketches: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    alarms = {"other data": (0, 0), "same data, other batches": (0, 0)}
    for n, one in enumerate(recipes):
        for m in range(n):
            kind = "same data, other batches" if one.corpora == recipes[m].corpora else "other data"
            taken = _taken(sketches[n], sketches[m], Shelf.of(sketches[:n]))
            alarms[kind] = (alarms[kind][0] + taken, alarms[kind][1] + 1)
    return alarms


def _taken(later: Pair, earlier: Pair, shelf: Shelf) -> bool:
    evidence = near_copy(later, earlier, shelf)
    return evidence is not None and evidence.confirmed


def compare_cost(stored: int) -> dict[str, float]:
    """Seconds to hold one sketch against ``stored`` others, and those one after another."""
    random = np.random.RandomState(0)
    sketches = [_random_pair(random) for _ in range(stored)]
    shelf = Shelf.of(sketches)
    start = time.perf_counter()
    for _ in range(5):
        shelf.candidates(sketches[0][0])
    together = (time.perf_counter() - start) / 5
    start = time.perf_counter()
    Shelf.of(sketches)
    filling = time.perf_counter() - start
    some = sketches[: stored // 10]
    start = time.perf_counter()
    for other in some:
        likeness(sketches[0][0], other[0])
    alone = (time.perf_counter() - start) * stored / len(some)
    print(
        f"one against {stored}: {together * 1e3:.0f} ms (and {filling * 1e3:.0f} ms to unpack "
        f"them); one after another {alone * 1e3:.0f} ms"
    )
    return {
        "stored": stored,
        "seconds": together,
        "seconds_to_unpack": filling,
        "naive_seconds": alone,
        "ratio": alone / together,
    }


def _random_pair(random: np.random.RandomState) -> Pair:
    levels = random.randint(-127, 128, SKETCH_VALUES).astype(np.int8)
    sketch = Sketch(
        version=1,
        base_digest="0" * 64,
        noise=(0.005,) * 7,
        scale=0.001,
        levels=base64.b64encode(levels.tobytes()).decode(),
    )
    return sketch, sketch


def _settings(recipes: Sequence[Recipe]) -> str:
    return ", ".join(f"corpus {r.corpora[0]} at {r.rate:g}" for r in recipes)


if __name__ == "__main__":
    raise SystemExit(main())
