"""Forgets old audio, logs and reports. Run it daily.

    python scripts/retention.py --dry-run
    python scripts/retention.py --audio-days 30 --log-days 30 --report-days 90

Audio of a submission's newest score stays, however old. What goes: audio of attempts without a
score or with one that a newer replaced, the logs of evaluations, validators' reports. Audio of
evaluations that the database does not know is counted and left alone. POSTGRES_URL must name the
owner of the database, AUDIO_STORE (or VAR_DIR) the audio. Exit codes: 0 done, 1 the audio store
does not answer, 2 wrong usage, 3 no usable database.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.filesize import decimal

from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from utilities.tables import listing
from voice_validation_api.audio_store import open_audio_store
from voice_validation_api.database_access import open_database
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.retention import Amount, Retention
from voice_validation_api.settings import ServiceSettings

EXIT_AUDIO, EXIT_DATABASE = 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Forget, or count what would be forgotten; returns the exit code."""
    options = _options(argv)
    settings = ServiceSettings()
    configure_logging("WARNING", secrets=secrets_of(settings))
    try:
        audio = open_audio_store(settings)
        with open_database(settings, size=2, application="retention") as access:
            _run(options, Retention(access.pool, audio, dry_run=options.dry_run))
    except NO_USABLE_DATABASE as error:
        sys.stderr.write(f"no usable database (POSTGRES_URL says which one): {error}\n")
        return EXIT_DATABASE
    except OSError as error:
        sys.stderr.write(f"the audio store: {error}\n")
        return EXIT_AUDIO
    return 0


def _run(options: argparse.Namespace, retention: Retention) -> None:
    audio = retention.audio(timedelta(days=options.audio_days))
    rows = [
        ("audio that counts", "kept", audio.kept),
        ("audio of no known evaluation", "left alone", audio.unknown),
        ("audio that does not count", "removed", audio.removed),
        ("logs", "removed", retention.logs(timedelta(days=options.log_days))),
        ("reports", "removed", retention.reports(timedelta(days=options.report_days))),
    ]
    title = "What would be done" if options.dry_run else "What was done"
    Console().print(
        listing(title, ("what", "is", "number", "bytes"), [_told(*row) for row in rows])
    )


def _told(what: str, done: str, amount: Amount) -> tuple[str, ...]:
    return what, done, f"{amount.entries:,}", decimal(amount.size_bytes)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for what, days in (("audio", 30), ("log", 30), ("report", 90)):
        parser.add_argument(
            f"--{what}-days", type=_days, default=days, metavar="N", help=f"default {days}"
        )
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    return parser.parse_args(argv)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError("give 1 to 36500 days")
    return days


if __name__ == "__main__":
    sys.exit(main())
