"""Submit a model: check it as admission would, upload it if asked to, and commit it on chain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.text import Text

from neurons import exit_codes
from neurons.flags import parse_settings
from neurons.miner_chain import Standing, publish, standing
from neurons.model_dir import (
    ModelDirectory,
    check_uploaded,
    digest_directory,
    digest_download,
    read_directory,
    upload,
)
from neurons.settings import MinerSettings
from neurons.wallets import open_wallet
from utilities.admission import admit
from utilities.admission_rules import RefusedError
from utilities.chain import Chain
from utilities.errors import SubnetError
from utilities.hub import open_hub
from utilities.logs import configure_logging
from utilities.model_download import download_model
from utilities.model_reference import (
    TTS,
    ModelReference,
    Revision,
    WeightsDigest,
    check_config_template,
    check_hotkey,
    check_repository_name,
    format_reference,
    submission_hash,
)
from utilities.settings import HubSettings

EXAMPLES: Final = """\
  python neurons/miner.py --repo_namespace parler-tts --repo_name parler-tts-mini-v1 \\
      --netuid 231 --subtensor.network test --wallet.name coldkey2 --wallet.hotkey hotkey2
  python neurons/miner.py ... --model_dir ./my-finetune --online True
  python neurons/miner.py ... --sealed 1h --online True

HF_ENDPOINT and HF_TOKEN are honoured. Exit codes: 0 committed, or shown what would be; 1 refused:
something must be changed first; 2 a flag or a key is wrong; 3 the hub or the chain does not answer,
or it is too early: try again later."""
NO_REVISION: Final = Revision("0" * 40)
"""Stands where the revision will, in what is shown of a model that is not uploaded yet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; returns the exit code."""
    settings = parse_settings(MinerSettings, argv, description=__doc__ or "", examples=EXAMPLES)
    configure_logging(settings.log_level, settings.log_format)
    console = Console(soft_wrap=True, highlight=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        submit(settings, HubSettings(), console)
    except SubnetError as error:
        name = error.rule if isinstance(error, RefusedError) else error.code
        errors.print(Text(f"error [{name}]: {error.message}", style="bold red"))
        errors.print(Text(error.remedy))
        return exit_codes.exit_code(error)
    except KeyboardInterrupt:
        errors.print("interrupted")
        return exit_codes.INTERRUPTED
    return exit_codes.OK


def submit(settings: MinerSettings, hub_settings: HubSettings, console: Console) -> None:
    """Everything from the keys to the commitment, in the order of what it costs.

    Raises the errors of wallet, reference, hub, admission and chain.
    """
    wallet = open_wallet(settings)
    reference = _named(settings, str(wallet.hotkey.ss58_address))
    _tell(console, "hotkey", reference.hotkey)
    _tell(console, "hash", reference.submission_hash)
    if settings.model_hash not in {None, reference.submission_hash}:
        _tell(console, "note", f"--model_hash {settings.model_hash} is not it; it is not needed")
    model = None
    if settings.short_commitment:
        format_reference(reference)  # It may be too long, and nothing was spent yet.
    if settings.model_dir is not None:
        model = read_directory(settings.model_dir, reference.repo_id)
        _tell_directory(console, model)
    with Chain(settings.endpoint) as chain:
        place = standing(chain, settings.netuid, reference.hotkey)
        _tell(console, "subnet", f"{settings.netuid} at {settings.endpoint}, uid {place.uid}")
        reference = _pinned(settings, hub_settings, reference, model, console)
        text = format_reference(reference)
        _tell(console, "commitment", text)
        if _is_there(place, reference, text, console):
            return
        if not settings.online:
            _tell(console, "done", "nothing was committed: --online is not True")
            return
        receipt = publish(chain, settings.netuid, text, wallet, sealed=settings.sealed)
    _tell(console, "committed", f"in block {receipt.block}, read back and equal")
    if receipt.reveal_round is not None:
        _tell(console, "sealed", f"until round {receipt.reveal_round} of the beacon")


def _named(settings: MinerSettings, hotkey: str) -> ModelReference:
    namespace, name = settings.repo_namespace, settings.repo_name
    check_repository_name(namespace, name)
    template = check_config_template(settings.config_template)
    return ModelReference(
        namespace=namespace,
        name=name,
        config_template=template,
        hotkey=check_hotkey(hotkey),
        submission_hash=submission_hash(namespace, name, template, hotkey),
        competition_id=TTS,
    )


def _pinned(
    settings: MinerSettings,
    hub_settings: HubSettings,
    reference: ModelReference,
    model: ModelDirectory | None,
    console: Console,
) -> ModelReference:
    """The reference with revision and weights digest; without a digest for the short form."""
    if model is not None and not settings.online:
        _tell(console, "upload", f"would go to {reference.repo_id}; its revision is known then")
        return _with_digest(settings, reference, NO_REVISION, lambda: digest_directory(model))
    if model is not None:
        reference = replace(reference, revision=upload(model, reference.repo_id, hub_settings))
    hub = open_hub(hub_settings)
    snapshot = admit(hub, reference)
    revision = Revision(snapshot.revision)
    _tell(console, "repository", f"{snapshot.repo_id}, {snapshot.total_bytes:,} bytes: admissible")
    _tell(console, "revision", revision)
    if model is not None:
        check_uploaded(model, snapshot)
        return _with_digest(settings, reference, revision, lambda: digest_directory(model))

    def downloaded() -> WeightsDigest:
        watcher = Console(stderr=True)
        return digest_download(download_model(hub, snapshot, settings.var_dir, watcher))

    return _with_digest(settings, reference, revision, downloaded)


def _with_digest(
    settings: MinerSettings,
    reference: ModelReference,
    revision: Revision,
    digest: Callable[[], WeightsDigest],
) -> ModelReference:
    if settings.short_commitment:
        return reference
    return replace(reference, revision=revision, weights_digest=digest())


def _is_there(place: Standing, reference: ModelReference, text: str, console: Console) -> bool:
    """Whether the chain shows the same submission already; another would begin a new age.

    Of the short form nobody can tell: the same text stands for whatever the repository holds.
    """
    earlier = place.commitment
    if earlier is None:
        return False
    is_readable = earlier.status in {"plain", "revealed"}
    if is_readable and earlier.text == text and reference.weights_digest is not None:
        _tell(console, "done", f"the same is committed already, in block {earlier.block}")
        return True
    what = f"the {earlier.status} commitment of block {earlier.block}"
    _tell(console, "replaces", f"{what}: {earlier.text or 'not readable'}"[:300])
    return False


def _tell_directory(console: Console, model: ModelDirectory) -> None:
    names = ", ".join(file.name for file in model.files)
    _tell(console, "directory", f"{model.path}, {model.size:,} bytes: admissible")
    _tell(console, "files", names)
    if model.left_out:
        _tell(console, "left out", ", ".join(model.left_out))


def _tell(console: Console, what: str, text: str) -> None:
    console.print(Text(f"{what:<12}{text}"))


if __name__ == "__main__":
    sys.exit(main())
