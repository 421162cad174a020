"""Tries a new version of the validator, and goes back when it does not come up healthy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from updater_checkout import Checkout, CheckoutError
from updater_install import INPUTS, Installer, InstallError
from updater_pm2 import Pm2
from updater_report import Report, Rollback
from updater_state import State, Trial, read_state, write_state
from updater_waiting import Failure, Waiting

LOOK_SECONDS = 1.0
# More restarts than that while it comes up, and it is not coming up.
MAX_RESTARTS = 2

log = logging.getLogger("updater")


@dataclass(frozen=True)
class Updater:
    """The checkout, the process and the memory of what was tried. ``clock`` gives Unix seconds.

    ``chain_answers`` asks the chain without the code that is on trial.
    """

    checkout: Checkout
    installer: Installer
    pm2: Pm2
    state_file: Path
    health_file: Path
    allowed_signers: Path | None
    delay: timedelta
    health_timeout: timedelta
    clock: Callable[[], float]
    stop: threading.Event
    chain_answers: Callable[[], bool]
    report: Report

    def ensure_running(self) -> None:
        """Start the validator unless PM2 runs it. Raises Pm2Error."""
        running = self.pm2.running()
        if running is None or not running.online:
            self.pm2.end()
            self.pm2.start()
            log.info("started the validator at %s", self.checkout.head()[:12])

    def update(self) -> None:
        """Fetch, and try the newest version that may be installed. Raises SubnetError."""
        self.checkout.fetch()
        versions = self.checkout.newer_versions(self.allowed_signers)
        now = self.clock()
        state = read_state(self.state_file).with_seen(versions, now)
        write_state(self.state_file, state)
        version = state.next_version(versions, now=now, delay=self.delay)
        if version is not None and version.commit in state.unproven and not self.chain_answers():
            return
        if version is None:
            if self.checkout.has_diverged():
                log.warning("this checkout has commits that the remote lacks: nothing is updated")
            return
        before = self.checkout.head()
        log.info("installing %s (%s), now at %s", version.name, version.commit[:12], before[:12])
        trial = Trial(before=before, after=version.commit)
        write_state(self.state_file, state.with_trial(trial))
        try:
            self.checkout.move_to(version.commit)
        except CheckoutError:
            write_state(self.state_file, state)
            raise
        self.settle_trial()

    def settle_trial(self) -> None:
        """Bring the trial to its end, if there is one: also one that a stop cut short."""
        state = read_state(self.state_file)
        trial = state.trial
        if trial is None:
            return
        if self.checkout.head() != trial.after:
            write_state(self.state_file, state.with_trial(None))
            return
        failure = self._start(trial.before, trial.after)
        if self.stop.is_set():
            return  # The next start goes on with the trial.
        if failure is None:
            write_state(self.state_file, state.with_trial(None))
            log.info("version %s is healthy", trial.after[:12])
            return
        self._roll_back(state, trial, failure)

    def _roll_back(self, state: State, trial: Trial, failure: Failure) -> None:
        if failure.is_the_chains:
            log.error("version %s is neither good nor bad: %s", trial.after[:12], failure.reason)
            log.error("the one before comes back until the chain answers; then it is tried again")
            after = state.with_unproven(trial.after)
        else:
            log.critical("version %s failed: %s; rolled back", trial.after[:12], failure.reason)
            after = state.with_bad(trial.after, failure.reason)
        self.checkout.move_to(trial.before)
        # Only now: a stop in between finds the trial still open and rolls back again.
        write_state(self.state_file, after)
        again = self._start(trial.after, trial.before)
        if again is not None and not again.is_the_chains:
            log.critical("version %s does not come up either: %s", trial.before[:12], again.reason)
        self.report(
            Rollback(
                failed=trial.after,
                back_to=trial.before,
                reason=failure.reason,
                back_to_failure=None if again is None else again.reason,
                unproven=failure.is_the_chains,
            )
        )

    def _start(self, previous: str, version: str) -> Failure | None:
        """Install and start what is checked out; why it is not healthy, or None."""
        try:
            if self.checkout.changed(previous, version, INPUTS):
                self.installer.install()
        except InstallError as error:
            return Failure(error.message)
        self.pm2.end()
        # Not before: the last pass of the version that ended says nothing about this one.
        started = self.clock()
        self.pm2.start()
        return self._watch(started)

    def _watch(self, started: float) -> Failure | None:
        """Wait for a healthy pass; why there is none, or None.

        Only time in which the chain answers counts against the version, and as much without it
        ends the wait. A validator does not end because the chain is silent: ending counts always.
        """
        waiting = Waiting(self.health_timeout.total_seconds(), self.clock, self.chain_answers)
        while not self.stop.wait(LOOK_SECONDS):
            running = self.pm2.running()
            if running is None:
                return Failure("PM2 lost the validator")
            if running.restarts > MAX_RESTARTS:
                return Failure(f"the validator ended {running.restarts} times")
            if running.online and self._passed_since(started):
                return None
            if (failure := waiting.look()) is not None:
                return failure
        return None

    def _passed_since(self, moment: float) -> bool:
        try:
            return self.health_file.stat().st_mtime >= moment
        except FileNotFoundError:
            return False
