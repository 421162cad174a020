"""Pictures of the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt


def draw(report: dict[str, Any], out: Path) -> None:
    """Write paired.png, dose.png and systems.png into ``out``."""
    _bars(report["paired"], "value", "original scores higher", out / "paired.png")
    systems = {n: f["unpaired_auc"] for n, f in report["systems"].items()}
    _bars(systems, "value", "human scores higher", out / "systems.png")
    _dose(report["dose"], out / "dose.png")


def _bars(figures: dict[str, Any], key: str, title: str, path: Path) -> None:
    names = list(figures)
    values = [figures[n][key] for n in names]
    errors = [
        [max(0.0, v - figures[n]["low"]) for n, v in zip(names, values, strict=True)],
        [max(0.0, figures[n]["high"] - v) for n, v in zip(names, values, strict=True)],
    ]
    figure, axes = plt.subplots(figsize=(8, 0.35 * len(names) + 1))
    axes.barh(names, values, xerr=errors)
    axes.axvline(0.5, color="grey", linewidth=0.8)
    axes.set_xlim(0.0, 1.02)
    axes.set_title(title)
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _dose(doses: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, dose in doses.items():
        axes.plot(range(len(dose["means"])), dose["means"], marker="o", label=name)
    axes.set_xlabel("strength")
    axes.set_ylabel("mean score")
    axes.legend(fontsize="small", ncol=2)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
