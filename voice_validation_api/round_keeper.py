"""Keeps the rounds: opens, seeds and closes them as the chain's blocks pass, and signs them.

    python voice_validation_api/round_keeper.py --netuid 231 --subtensor.network finney \\
        --wallet.name service --wallet.hotkey default

While it runs, submissions are scored in rounds only, all of one round on the same prompts, whose
seed comes from a block after the last of them was pinned. The hotkey signs what is published; the
API names it as API_HOTKEY. With --round_signers it signs those rounds only that are its own.
Settings come from the environment (POSTGRES_URL, VAR_DIR, HF_ENDPOINT, ROUND_SIGNERS,
KEEPER_NETUID, KEEPER_ENDPOINT, KEEPER_WALLET_NAME, ...) and ``.env``; flags override them. It needs
the owner's role in Postgres. Exit codes: 0 stopped as told, 1 a fault of this program, 2 wrong
settings, 3 no usable database, 4 no usable wallet.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

from pydantic import ValidationError

from scoring.competition import Rules
from utilities.chain import Chain
from utilities.chain_errors import ChainError
from utilities.chain_rounds import sign_round
from utilities.chain_wallets import WalletError, open_wallet
from utilities.hub import Hub
from utilities.logs import configure_logging
from utilities.model_reference import TTS
from utilities.redaction import secrets_of
from utilities.round_signers import only_signer
from voice_validation_api.copies_ledger import CopyLedger
from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.database_access import open_database
from voice_validation_api.persistence import Backoff
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.rounds.keeper import Keeper
from voice_validation_api.rounds.ledger import RoundLedger
from voice_validation_api.rounds.signing import SignersWrongError, check_signers
from voice_validation_api.settings import KeeperSettings, wrong_settings
from voice_validation_api.wakeup import Stop

EXIT_SETTINGS, EXIT_DATABASE, EXIT_WALLET = 2, 3, 4

log = logging.getLogger("round_keeper")


def main(argv: Sequence[str] | None = None) -> int:
    """Keep rounds until told to stop; returns the exit code."""
    try:
        settings = _settings(argv)
    except ValidationError as error:
        sys.stderr.write(wrong_settings(error))
        return EXIT_SETTINGS
    configure_logging(settings.log_level, settings.log_format, secrets=secrets_of(settings))
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        wallet = open_wallet(settings.wallet_name, settings.wallet_hotkey, settings.wallet_path)
        with (
            open_database(settings, size=2, application="round_keeper") as access,
            Chain(settings.endpoint) as chain,
        ):
            ledger, token = RoundLedger(access.pool, TTS), settings.hub_token
            hotkey = str(wallet.hotkey.ss58_address)
            signers = settings.round_signers or only_signer(hotkey)
            if settings.round_signers is not None:
                check_signers(signers, hotkey=hotkey, published=ledger.published(Rules().window))
            keeper = Keeper(
                competition_id=TTS,
                netuid=settings.netuid,
                ledger=ledger,
                copies=CopyLedger(access.pool, TTS),
                chain=chain,
                hub=Hub(
                    endpoint=settings.hub_endpoint,
                    token=token.get_secret_value() if token else None,
                ),
                rules=Rules(),
                sign=partial(sign_round, wallet=wallet),
                signs=lambda number: signers.of(number) == hotkey,
            )
            log.info("keeping the rounds of subnet %d at %s", settings.netuid, settings.endpoint)
            _keep(keeper.step, stop, settings.poll_seconds)
    except WalletError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return EXIT_WALLET
    except SignersWrongError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return EXIT_SETTINGS
    except NO_USABLE_DATABASE as error:
        log.critical("no usable database: %s. POSTGRES_URL says which one is used.", error)
        return EXIT_DATABASE
    log.info("stopped")
    return 0


def _keep(step: Callable[[], bool], stop: Stop, poll_seconds: float) -> None:
    backoff = Backoff()
    while not stop.is_set():
        try:
            moved = step()
        except (ChainError, DatabaseUnavailableError) as error:
            pause = backoff.next()
            log.warning("%s; looking again in %.1f s", error, pause)
            stop.wait(pause)
            continue
        backoff = Backoff()
        if not moved:
            stop.wait(poll_seconds)


def _settings(argv: Sequence[str] | None) -> KeeperSettings:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--netuid", type=int, help="the subnet (231)")
    parser.add_argument(
        "--subtensor.network",
        dest="endpoint",
        help="a network that the SDK knows, or the ws:// address of a node (finney)",
    )
    parser.add_argument("--wallet.name", dest="wallet_name", help="whose hotkey signs (default)")
    parser.add_argument("--wallet.hotkey", dest="wallet_hotkey", help="the hotkey (default)")
    parser.add_argument("--wallet.path", dest="wallet_path", help="where the wallets are")
    parser.add_argument(
        "--round_signers",
        help="OLD,NEW@ROUND: who signs rounds, NEW from round ROUND on (the wallet's hotkey all)",
    )
    flags = {
        key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None
    }
    return KeeperSettings(**flags)


if __name__ == "__main__":
    sys.exit(main())
