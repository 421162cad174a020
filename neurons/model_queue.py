"""Hand the subnet's commitments to the validation API, and keep its list of miners.

Everything seen is kept in VAR_DIR/model_queue/netuid-N.sqlite3, so that nothing is lost while chain
or API do not answer, or while this program does not run."""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from types import FrameType
from typing import Final

from neurons import exit_codes
from neurons.backoff import Backoff
from neurons.flags import parse_settings
from neurons.model_queue_api import ModelsApi
from neurons.model_queue_chain import observe
from neurons.model_queue_ledger import Ledger
from neurons.service_api import ServiceApi
from neurons.settings import ModelQueueSettings
from utilities.chain import Chain
from utilities.errors import SubnetError
from utilities.logs import configure_logging

EXAMPLES: Final = """\
  python neurons/model_queue.py --use-local-validation-api
  python neurons/model_queue.py --netuid 231 --subtensor.network test --immediate

Exit codes: 0 stopped as told, or one pass done; 1 something must be changed first; 2 a setting is
wrong; 3 with --immediate: chain or API did not answer; what was seen is kept."""
RETRY: Final = Backoff(first=2.0, ceiling=120.0)

log = logging.getLogger("model_queue")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM, or once; returns the exit code."""
    settings = parse_settings(
        ModelQueueSettings, argv, description=__doc__ or "", examples=EXAMPLES
    )
    secret = settings.admin_key.get_secret_value()
    configure_logging(settings.log_level, settings.log_format, secrets=[secret])
    try:
        ledger = Ledger(settings.var_dir / "model_queue" / f"netuid-{settings.netuid}.sqlite3")
    except SubnetError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return exit_codes.exit_code(error)
    with (
        closing(ledger),
        Chain(settings.endpoint) as chain,
        closing(ServiceApi(settings.api_url)) as api,
    ):
        models = ModelsApi(api, settings.admin_key)

        def one_pass() -> SubnetError | None:
            return run_once(chain, settings.netuid, ledger, models)

        if settings.immediate:
            failure = one_pass()
            return exit_codes.OK if failure is None else exit_codes.exit_code(failure)
        log.info("watching subnet %d at %s for %s", settings.netuid, settings.endpoint, api.url)
        _run_until_told(one_pass, settings.poll_seconds)
    log.info("stopped")
    return exit_codes.OK


def run_once(chain: Chain, netuid: int, ledger: Ledger, models: ModelsApi) -> SubnetError | None:
    """Look at the chain, then tell the API. Neither waits for the other to be well; the first
    error is returned."""
    errors: list[SubnetError] = []
    now = None
    try:
        now = observe(chain, netuid, ledger)
    except SubnetError as error:
        _tell(error, errors)
    try:
        models.submit_pending(ledger)
        if now is not None:
            models.post_minerboard(now)
            log.debug("pass: block=%d commitments=%s", now.metagraph.block, ledger.counts())
    except SubnetError as error:
        _tell(error, errors)
    return errors[0] if errors else None


def _tell(error: SubnetError, errors: list[SubnetError]) -> None:
    errors.append(error)
    level = logging.WARNING if error.transient else logging.ERROR
    log.log(level, "%s: %s. %s", error.code, error.message, error.remedy)


def _run_until_told(one_pass: Callable[[], SubnetError | None], poll_seconds: float) -> None:
    told = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        told.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    jitter = random.SystemRandom()
    failures = 0
    while not told.is_set():
        try:
            failed = one_pass() is not None
        except Exception:  # Whatever one commitment does, the others must not wait for a person.
            log.exception("an error of this program; it goes on")
            failed = True
        failures = failures + 1 if failed else 0
        told.wait(RETRY.delay(failures, jitter.random()) if failures else poll_seconds)


if __name__ == "__main__":
    sys.exit(main())
