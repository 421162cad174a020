"""Keeps a validator running under PM2, and its code up to date.

    pm2 start --name sn231-vali-updater --interpreter python scripts/start_validator.py -- \\
        --pm2_name sn231-vali --wallet.name WALLET --wallet.hotkey HOTKEY [validator flags]

Every --interval it fetches the branch. A newer version is checked out beside your local changes,
its requirements are installed, and the validator is started anew; one that does not complete a
healthy pass within --health_timeout is rolled back, reported, and never tried again; time in which
the chain does not answer is not held against it. With
--allowed_signers only tags count that one of them signed (`git tag -s` with an SSH key), and with
--delay only what was published that long ago. Ending the updater leaves the validator running.

Exit codes: 0 stopped as told, 2 wrong flags, 3 it cannot work here (another updater runs, no PM2,
no git checkout, validator flags that name no chain).
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from updater_checkout import Checkout
from updater_install import Installer
from updater_pm2 import Pm2
from updater_report import reporter
from updater_state import StateError
from updater_trial import Updater

from neurons.settings import NeuronSettings
from utilities.chain_probe import probe_of
from utilities.errors import SubnetError
from utilities.logs import configure_logging

ROOT = Path(__file__).resolve().parent.parent
STATE = Path("var/updater")
EXIT_UNUSABLE = 3

log = logging.getLogger("updater")


class SettingsError(SubnetError):
    """The validator's flags or its environment are wrong."""

    code = "VALIDATOR_SETTINGS"


def main(argv: Sequence[str] | None = None) -> int:
    """Update until told to stop; returns the exit code."""
    args, validator_flags = _parse(argv)
    configure_logging("INFO")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _alone(ROOT / STATE):
            updater = _updater(args, validator_flags, stop)
            updater.settle_trial()
            updater.ensure_running()
            code = _code_of_updater()
            while not stop.is_set():
                _turn(updater)
                if _code_of_updater() != code:
                    code = _code_of_updater()
                    _start_over()
                stop.wait(args.interval.total_seconds())
    except SubnetError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return EXIT_UNUSABLE
    return 0


def _turn(updater: Updater) -> None:
    try:
        updater.update()
    except StateError:
        raise
    except SubnetError as error:
        log.error("%s. %s", error.message, error.remedy)  # noqa: TRY400 - the message says it all


def _updater(
    args: argparse.Namespace, validator_flags: Sequence[str], stop: threading.Event
) -> Updater:
    return Updater(
        checkout=Checkout(ROOT, remote=args.remote, branch=args.branch),
        installer=Installer(ROOT, sys.executable),
        pm2=Pm2(
            args.pm2_name,
            script=ROOT / "neurons" / "validator.py",
            interpreter=sys.executable,
            arguments=validator_flags,
            cwd=ROOT,
        ),
        state_file=ROOT / STATE / "state.json",
        health_file=ROOT / args.health_file,
        allowed_signers=args.allowed_signers,
        delay=args.delay,
        health_timeout=args.health_timeout,
        clock=time.time,
        stop=stop,
        chain_answers=probe_of(_endpoint(validator_flags)).answers,
        report=reporter(ROOT, validator_flags),
    )


def _endpoint(validator_flags: Sequence[str]) -> str:
    """The chain that the validator talks to: flags, environment and ``.env`` as it reads them."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--subtensor.network", dest="subtensor_network")
    parser.add_argument("--subtensor.chain_endpoint", dest="subtensor_chain_endpoint")
    parser.add_argument("--local", nargs="?", const="True")
    known, _ = parser.parse_known_args(validator_flags)
    given = {name: value for name, value in vars(known).items() if value is not None}
    try:
        return NeuronSettings(_env_file=ROOT / ".env", **given).endpoint
    except ValidationError as error:
        raise SettingsError(
            f"the validator's flags name no chain: {error.errors()[0]['msg']}",
            "See python neurons/validator.py --help.",
        ) from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"another updater works in {ROOT}", "See `pm2 status`; one is enough."
            ) from error
        yield


def _code_of_updater() -> bytes:
    files = [Path(__file__), *sorted(Path(__file__).parent.glob("updater_*.py"))]
    return b"".join(path.read_bytes() for path in files)


def _start_over() -> None:
    """Go on as the updater of the new version, if that one can start at all."""
    trial = [sys.executable, __file__, "--help"]
    if subprocess.run(trial, capture_output=True, check=False, timeout=60).returncode != 0:
        log.critical("the new version's updater cannot start: going on with this one")
        return
    log.info("going on as the updater of the new version")
    # The same process number: to PM2 it is the same process.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command


def _parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Every other flag goes to neurons/validator.py as it is.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # --wallet.name must not be taken for an abbreviation of anything.
        allow_abbrev=False,
    )

    def add(name: str, help_text: str, **settings: Any) -> None:
        parser.add_argument(name, help=f"{help_text} (%(default)s)", **settings)

    add("--pm2_name", "the validator's name in PM2", default="sn231-vali")
    add("--remote", "where new versions come from", default="origin")
    add("--branch", "what to follow", default="main")
    add("--interval", "seconds between looks", type=_seconds, default="300")
    add(
        "--allowed_signers",
        "file of SSH keys whose signed tags count; unset: the branch",
        type=Path,
    )
    add("--delay", "seconds that a version must have been published", type=_seconds, default="0")
    add("--health_timeout", "seconds for the first healthy pass", type=_seconds, default="1800")
    add(
        "--health_file",
        "what the validator touches after each healthy pass",
        type=Path,
        default=Path("var/validator/health.json"),
    )
    args, rest = parser.parse_known_args(argv)
    if args.allowed_signers is not None and not args.allowed_signers.is_file():
        parser.error(f"--allowed_signers: there is no file {args.allowed_signers}")
    return args, [flag for flag in rest if flag != "--"]


def _seconds(text: str) -> timedelta:
    seconds = float(text)
    if not 0 <= seconds <= timedelta(days=365).total_seconds():
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds up to a year")
    return timedelta(seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
