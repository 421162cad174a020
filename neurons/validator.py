"""Turns published scores into weights on the chain, once an epoch.

Each pass reads the subnet and the latest scores, keeps what agrees with the chain, computes win
rates and weights as every validator does, shows them, sets them and reports them. While there are
no usable scores the last weights stand, and are set again in time to stay active; zeroes are never
set. With --audit_rate it then does a part of the published evaluations again.

State is kept in VAR_DIR/validator. health.json there is written after every pass in which the chain
was read and setting weights did not fail, with version, process, block and outcome: whoever watches
this program, such as the auto-updater, looks at when that file last changed.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from neurons import exit_codes
from neurons.backoff import Backoff
from neurons.flags import parse_settings
from neurons.service_api import ServiceApi
from neurons.service_identity import report_receiver
from neurons.validator_audit import Auditor
from neurons.validator_audit_fetch import Published
from neurons.validator_pass import Office, Pass, Validator
from neurons.validator_report import Reporter, git_commit, program_version
from neurons.validator_scores import ScoreSource
from neurons.validator_settings import ValidatorSettings
from neurons.validator_state import StateError, StateFile
from neurons.validator_table import Line, ranking_table
from neurons.wallets import open_wallet
from scoring.competition import Rules
from utilities.chain import Chain
from utilities.chain_errors import ChainError
from utilities.errors import SubnetError
from utilities.files import replace_file
from utilities.hub import open_hub
from utilities.logs import configure_logging
from utilities.model_reference import TTS
from utilities.settings import HubSettings

EXAMPLES: Final = """\
  python neurons/validator.py --wallet.name coldkey4 --wallet.hotkey hotkey4 --device cuda \\
      --netuid 231 --subtensor.network finney --wallet.path "~/.bittensor/wallets/"
  python neurons/validator.py --offline --immediate
  python neurons/validator.py --use-local-validation-api --local --dont_set_weights

Exit codes: 0 stopped as told, or with --immediate: done; 1 refused: something must be changed
first; 2 a flag or a key is wrong; 3 the chain or the API does not answer, or it is too early."""
MAX_BACKOFF_POLLS: Final = 25
"""The longest pause after failures: five minutes at the default of a block."""

LOG_COLUMNS: Final = 200

log = logging.getLogger("validator")


def main(argv: Sequence[str] | None = None) -> int:
    """Validate until SIGINT or SIGTERM; returns the exit code."""
    settings = parse_settings(ValidatorSettings, argv, description=__doc__ or "", examples=EXAMPLES)
    configure_logging(settings.log_level, settings.log_format)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as resources:
        try:
            program = _program(settings, resources)
            if settings.immediate:
                return program.once()
            program.run()
        except SubnetError as error:
            log.critical("%s. %s", error.message, error.remedy)
            return exit_codes.exit_code(error)
        except KeyboardInterrupt:
            log.info("stopped")
            return exit_codes.INTERRUPTED if settings.immediate else exit_codes.OK
    return exit_codes.OK


class Program:
    """The passes of one validator, and the pauses between them."""

    def __init__(
        self,
        validator: Validator,
        chain: Chain,
        reporter: Reporter | None,
        *,
        health_file: Path | None,
        poll_seconds: float,
        jitter: random.Random,
    ) -> None:
        self._validator = validator
        self._chain = chain
        self._reporter = reporter
        self._health_file = health_file
        self._poll_seconds = poll_seconds
        self._backoff = Backoff(poll_seconds, MAX_BACKOFF_POLLS * poll_seconds)
        self._jitter = jitter
        self._failures = 0

    def run(self) -> None:
        """Pass after pass, until interrupted."""
        while True:
            done = self._one_pass()
            if done.problems:
                delay = self._backoff.delay(self._failures, self._jitter.random())
                log.info("trying again in %.0f s", delay)
                time.sleep(delay)
            else:
                self._validator.audit(done.block, partial(self._has_time, done.next_block))
                self._wait_for(done.next_block)

    def once(self) -> int:
        """One pass; 0 when all of it was done."""
        done = self._one_pass()
        self._validator.audit(done.block, lambda: True)
        if done.problems:
            # What only a person can change is told before what may pass by itself.
            return min(exit_codes.exit_code(problem) for problem in done.problems)
        return exit_codes.LATER if done.outcome == "waits" else exit_codes.OK

    def _one_pass(self) -> Pass:
        done = self._validator.one_pass()
        log.info("pass at block %d: %s", done.block, done.outcome)
        self._failures = self._failures + 1 if done.problems else 0
        for problem in done.problems:
            self._report(problem)
        if done.outcome != "failed" and self._health_file is not None:
            self._write_health(self._health_file, done)
        return done

    def _write_health(self, path: Path, done: Pass) -> None:
        health = {
            "version": program_version(),
            "pid": os.getpid(),
            "block": done.block,
            "outcome": done.outcome,
            "problems": [problem.code for problem in done.problems],
        }
        try:
            replace_file(path, json.dumps(health) + "\n")
        except OSError as error:
            raise StateError(
                f"cannot write {path}: {error}", "Make room, or set VAR_DIR."
            ) from error

    def _report(self, error: SubnetError) -> None:
        """Report a failure: the first, second, fourth, eighth in a row and so on."""
        count = self._failures
        if self._reporter is not None and count & (count - 1) == 0:
            self._reporter.failure(error, failures=count)

    def _wait_for(self, block: int) -> None:
        """Until the chain has reached ``block``, or does not answer: then the next pass says so."""
        while True:
            time.sleep(self._poll_seconds)
            if self._is_reached(block):
                return

    def _has_time(self, next_block: int) -> bool:
        """For what comes between two passes."""
        return not self._is_reached(next_block)

    def _is_reached(self, block: int) -> bool:
        try:
            return self._chain.block() >= block
        except ChainError:
            return True


def _program(settings: ValidatorSettings, resources: ExitStack) -> Program:
    """Everything connected. Raises WalletError and StateError."""
    chain = resources.enter_context(Chain(settings.endpoint))
    api = resources.enter_context(closing(ServiceApi(settings.api_url)))
    source = ScoreSource(api, TTS, signers=settings.trusted_signers, rules=Rules())
    office = None if settings.offline else _office(settings, api)
    # A log has no width of its own.
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if has_width else LOG_COLUMNS)

    def show(title: str, lines: list[Line]) -> None:
        console.print(ranking_table(title, lines))

    return Program(
        Validator(chain, settings.netuid, source, office, show),
        chain,
        None if office is None else office.reporter,
        health_file=None if settings.offline else settings.var_dir / "validator" / "health.json",
        poll_seconds=settings.poll_seconds,
        jitter=random.Random(),  # noqa: S311 - no secret: it only spreads retries
    )


def _office(settings: ValidatorSettings, api: ServiceApi) -> Office:
    wallet = open_wallet(settings)
    hotkey = str(wallet.hotkey.ss58_address)
    log.info("validating with hotkey %s on subnet %d", hotkey, settings.netuid)
    folder = settings.var_dir / "validator"
    state_file = StateFile(folder, netuid=settings.netuid, mechid=settings.mechid, hotkey=hotkey)
    if settings.forget_audits:
        state = state_file.read()
        state_file.write(state.with_audits(state.audits.without_failures()))
    return Office(
        wallet=wallet,
        mechid=settings.mechid,
        state_file=state_file,
        reporter=Reporter(
            api,
            wallet,
            version=program_version(),
            commit=git_commit(),
            receiver=partial(report_receiver, api, settings.validation_api_hotkey),
        ),
        auditor=Auditor(
            published=Published(api),
            hub=open_hub(HubSettings()),
            settings=settings,
            device=settings.device,
            hotkey=hotkey,
            place=folder / "audits",
        ),
        may_set=not settings.dont_set_weights,
    )


if __name__ == "__main__":
    sys.exit(main())
