"""Tell the validation API that the auto-updater left a version again; the updater runs it.

Takes the validator's flags and, on standard input, what happened (JSON). The report is signed by
the validator's hotkey. Exit codes: 0 sent, or the API did not take it, and the log says so; 2 the
flags or the keys are wrong.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial

from updater_report import Rollback

from neurons import exit_codes
from neurons.flags import parse_settings
from neurons.service_api import ServiceApi
from neurons.service_identity import report_receiver
from neurons.validator_report import Reporter, git_commit, program_version
from neurons.validator_settings import ValidatorSettings
from neurons.wallets import open_wallet
from utilities.chain_wallets import WalletError
from utilities.errors import SubnetError
from utilities.logs import configure_logging

EXAMPLES = "  python scripts/report_rollback.py --wallet.name coldkey4 < rollback.json"

log = logging.getLogger("report_rollback")


class VersionRolledBackError(SubnetError):
    """A version of the validator did not come up healthy."""

    code = "VERSION_ROLLED_BACK"


class VersionUnprovenError(SubnetError):
    """A version of the validator could not be judged: the chain did not answer."""

    code = "VERSION_UNPROVEN"


def main(argv: Sequence[str] | None = None) -> int:
    """Report one rollback; returns the exit code."""
    settings = parse_settings(ValidatorSettings, argv, description=__doc__ or "", examples=EXAMPLES)
    configure_logging(settings.log_level, settings.log_format)
    rollback = Rollback.model_validate_json(sys.stdin.buffer.read())
    try:
        wallet = open_wallet(settings)
    except WalletError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return exit_codes.exit_code(error)
    with closing(ServiceApi(settings.api_url)) as api:
        reporter = Reporter(
            api,
            wallet,
            version=program_version(),
            commit=git_commit(),
            receiver=partial(report_receiver, api, settings.validation_api_hotkey),
        )
        reporter.failure(_told(rollback), **rollback.model_dump())
    return exit_codes.OK


def _told(rollback: Rollback) -> SubnetError:
    if rollback.unproven:
        return VersionUnprovenError(
            f"version {rollback.failed} is neither good nor bad: {rollback.reason}",
            "Nothing: it is tried again once the chain answers.",
        )
    return VersionRolledBackError(
        f"version {rollback.failed} was rolled back: {rollback.reason}",
        "Publish another version; this validator does not try that one again.",
    )


if __name__ == "__main__":
    sys.exit(main())
