"""One pass of a validator: the chain, the scores, the weights, and setting them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias

import bittensor as bt

from neurons.chain_past import past_of
from neurons.service_api import ServiceError
from neurons.validator_audit import ApiDistrustedError, Auditor
from neurons.validator_report import Reporter
from neurons.validator_scores import NoScoresError, Scores, ScoreSource
from neurons.validator_state import StateFile, ValidatorState
from neurons.validator_table import Line, ranking
from neurons.validator_weights import (
    WEIGHTS_VERSION,
    NobodyToWeighError,
    ValidatorOutdatedError,
    burned_parts,
    check_version,
    due_block,
    parts_by_hotkey,
    weights_by_uid,
)
from scoring.competition import (
    WEIGHT_UNITS,
    RoundSnapshot,
    RoundsUnusableError,
    Trust,
    Weights,
    weights,
)
from utilities.chain import Chain, Metagraph
from utilities.chain_errors import ChainError
from utilities.chain_rounds import RoundForgedError
from utilities.chain_view import View, read_view
from utilities.errors import SubnetError

Outcome: TypeAlias = Literal["set", "waits", "stands", "nothing", "shown", "failed"]
"""What became of the weights: set; to be set when the rate limit is over; those on the chain stand;
none were ever computed; only shown; or they could not be set."""
Show: TypeAlias = Callable[[str, list[Line]], None]
"""Shows a ranking under a title."""

log = logging.getLogger(__name__)


class ScoresUnusableError(ServiceError):
    """The published rounds cannot be weighed."""

    code: ClassVar[str] = "ROUNDS_UNUSABLE"


@dataclass(frozen=True)
class Pass:
    """How a pass at ``block`` ended, and from which block on the next is due.

    ``problems`` call for an earlier one; the last weights stand meanwhile. Where the chain could
    not be read, both blocks are 0.
    """

    block: int
    next_block: int
    outcome: Outcome
    problems: tuple[SubnetError, ...]


@dataclass(frozen=True)
class Office:
    """What a validator needs that does more than look: its keys, its memory, and whom it tells."""

    wallet: bt.Wallet
    mechid: int
    state_file: StateFile
    reporter: Reporter
    auditor: Auditor
    may_set: bool

    @property
    def hotkey(self) -> str:
        """The validator's own."""
        return str(self.wallet.hotkey.ss58_address)


class Validator:
    """One validator of one subnet; without an office it only looks."""

    def __init__(
        self, chain: Chain, netuid: int, source: ScoreSource, office: Office | None, show: Show
    ) -> None:
        """Reads the state. Raises StateError."""
        self._chain = chain
        self._netuid = netuid
        self._source = source
        self._office = office
        self._show = show
        self._past = past_of(chain, netuid)
        self._state = ValidatorState() if office is None else office.state_file.read()
        self._round: RoundSnapshot | None = None
        self._excluded: frozenset[int] = frozenset()

    def one_pass(self) -> Pass:
        """Look, weigh, set, tell. Raises StateError."""
        try:
            view = read_view(self._chain, self._netuid)
            return self._pass(view)
        except ChainError as error:
            log.error("the chain cannot be read: %s. %s", error.message, error.remedy)  # noqa: TRY400
            return Pass(0, 0, "failed", (error,))

    def audit(self, block: int, has_time: Callable[[], bool]) -> None:
        """Audit the newest round that was weighed, as far as there is time. Raises StateError.

        ``block`` is that of the last pass. What is found changes the next weights.
        """
        if self._office is None or self._round is None:
            return
        self._office.auditor.audit(
            self._round,
            self._state.audits,
            block=block,
            excluded=self._excluded,
            has_time=has_time,
            remember=lambda book: self._remember(self._state.with_audits(book)),
            tell=self._office.reporter.failure,
        )

    def _pass(self, view: View) -> Pass:
        weighed, unweighed = self._try_to_weigh(view)
        outcome, due, unset = self._try_to_set()
        next_epoch = view.block + view.metagraph.rules.tempo
        done = Pass(
            block=view.block,
            next_block=min(next_epoch, due) if outcome == "waits" else next_epoch,
            outcome=outcome,
            problems=tuple(problem for problem in (unweighed, unset) if problem is not None),
        )
        if self._office is not None:
            self._tell(self._office, view.metagraph, done, weighed)
        return done

    def _try_to_weigh(self, view: View) -> tuple[Weights | None, SubnetError | None]:
        """The new weights, or why there are none."""
        self._round = None
        trust = self._state.audits.trust(
            block=view.block, tempo=view.metagraph.rules.tempo, rules=self._source.rules
        )
        self._excluded = trust.excluded
        try:
            if trust.verdict != "follow":
                self._stop_following(trust, view)
                return None, None
            return self._weigh(view), None
        except (ServiceError, RoundForgedError, NobodyToWeighError, ChainError) as error:
            log.warning("no new weights: %s. %s", error.message, error.remedy)
            return None, error

    def _try_to_set(self) -> tuple[Outcome, int, SubnetError | None]:
        """What became of the newest weights, when they are due, and why they could not be set."""
        if self._office is None or not self._office.may_set:
            return "shown", 0, None
        try:
            outcome, due = self._set(self._office)
            return outcome, due, None
        except (ChainError, NobodyToWeighError, ValidatorOutdatedError) as error:
            self._remember(self._state.with_failure())
            times = self._state.failures
            log.error("weights were not set, %d times in a row: %s", times, error.message)  # noqa: TRY400
            log.error("what to do: %s", error.remedy)  # noqa: TRY400
            return "failed", 0, error

    def _stop_following(self, trust: Trust, view: View) -> None:
        """The last weights stand, and later all is burned. Raises NobodyToWeighError."""
        error = ApiDistrustedError(
            f"audits exclude submissions {sorted(trust.excluded)}: the API is not followed, and "
            + ("the last weights stand" if trust.verdict == "hold" else "everything is burned"),
            "Ask the API's operator. Once it is explained, start with --forget_audits.",
        )
        log.error("%s. %s", error.message, error.remedy)
        if self._office is not None:
            self._office.reporter.failure(error, since_epoch=trust.since_epoch)
        if trust.verdict == "burn":
            parts = burned_parts(WEIGHT_UNITS, view.metagraph)
            self._remember(self._state.with_weights(view.block, parts))

    def _weigh(self, view: View) -> Weights:
        """Weigh the latest scores, show the ranking and remember the weights."""
        scores = self._source.latest(view, self._past, self._state.snapshots)
        audited = dict.fromkeys(self._excluded, "it failed this validator's audits")
        scores = replace(scores, excluded={**scores.excluded, **audited})
        try:
            weighed = weights(
                scores.snapshots,
                chain=view.participants(),
                rules=scores.rules,
                block=view.block,
                excluded=scores.excluded,
            )
        except RoundsUnusableError as error:
            raise ScoresUnusableError(error.message, error.remedy) from error
        self._show_ranking(weighed, scores, view)
        if not scores.digests and not any(share.units for share in weighed.shares):
            # Only a signed round is reason enough to burn everything.
            raise NoScoresError(
                "no scored submission competes; the ranking says why",
                "Wait until one that agrees with the chain is scored.",
            )
        self._round = scores.newest if scores.digests else None
        self._remember(self._state.with_snapshots(scores.digests))
        parts = parts_by_hotkey(weighed, view.metagraph)
        self._remember(self._state.with_weights(view.block, parts))
        return weighed

    def _set(self, office: Office) -> tuple[Outcome, int]:
        """Set the newest weights if they are due; what came of it, and when they are due."""
        newest = self._state.weights
        if newest is None:
            log.warning("nothing is set: there have never been weights")
            return "nothing", 0
        # Read anew: while scores were fetched, uids may have changed hands.
        metagraph = self._chain.metagraph(self._netuid)
        last_set = self._last_set(office, metagraph)
        pending = self._state.set_at is None or newest.block > self._state.set_at
        due = due_block(last_set, metagraph.rules, fresh=pending)
        if metagraph.block < due:
            log.info("weights of block %d are due at block %d", newest.block, due)
            return ("waits" if pending else "stands"), due
        check_version(metagraph.rules)
        receipt = self._chain.set_weights(
            self._netuid,
            weights_by_uid(newest.by_hotkey, metagraph),
            office.wallet,
            mechid=office.mechid,
            version_key=WEIGHTS_VERSION,
        )
        self._remember(self._state.with_set(receipt.block))
        how = "" if receipt.reveal_round is None else f", sealed until {receipt.reveal_round}"
        log.info("weights of block %d set in block %d%s", newest.block, receipt.block, how)
        return "set", due

    def _last_set(self, office: Office, metagraph: Metagraph) -> int:
        """The block of the last weights. The metagraph knows it for the first mechanism only."""
        if office.mechid != 0:
            return self._state.set_at or 0
        neuron = metagraph.neuron_of(office.hotkey)
        return 0 if neuron is None else neuron.last_update

    def _remember(self, state: ValidatorState) -> None:
        if self._office is not None and state != self._state:
            self._office.state_file.write(state)
        self._state = state

    def _show_ranking(self, weighed: Weights, scores: Scores, view: View) -> None:
        lines = ranking(weighed, scores, view.metagraph)
        for line in lines:
            log.debug("%s", line)
        kind = f"round {scores.newest.number}" if scores.digests else "leaderboard"
        burned = f", {weighed.burned_units} units burned" if weighed.burned_units else ""
        self._show(f"subnet {self._netuid} at block {view.block}, {kind}{burned}", lines)

    def _tell(
        self, office: Office, metagraph: Metagraph, done: Pass, weighed: Weights | None
    ) -> None:
        newest = self._state.weights
        payload: dict[str, Any] = {
            "version": office.reporter.version,
            "block": done.block,
            "outcome": done.outcome,
            "set_at": self._state.set_at,
            "failures": self._state.failures,
            "weights": newest.by_hotkey if newest else {},
            "weights_block": newest.block if newest else None,
            "audited_round": self._state.audits.round,
            "audits": {str(n): verdict for n, verdict in self._state.audits.verdicts.items()},
        }
        if weighed is not None:
            payload["win_rates"] = {s.hotkey: s.win_rate for s in weighed.shares}
            payload["rounds"] = {str(r.number): r.digest for r in weighed.rounds}
        office.reporter.telemetry(metagraph, payload)
