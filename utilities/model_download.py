"""Fetching a model for a person who watches: a progress bar, and a place that both commands share
who score a model and who commit it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from utilities.hub import Hub
from utilities.hub_snapshot import RepoSnapshot


def download_model(hub: Hub, snapshot: RepoSnapshot, var_dir: Path, console: Console) -> Path:
    """The directory with the model's files of a pinned revision; what is there already is kept.

    Raises what ``Hub.download_revision`` raises.
    """
    into = var_dir / "models" / snapshot.repo_id.replace("/", "--") / snapshot.revision
    bar = Progress(
        TextColumn(f"{snapshot.repo_id}@{snapshot.revision[:12]}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("", total=None)
        return hub.download_revision(
            snapshot.repo_id,
            snapshot.revision,
            into,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
