"""Which hotkeys the validation API says are its own (``GET /hc``)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from neurons.service_api import ServiceApi
from utilities.round_signers import RoundSigners, SignersText, only_signer


class Identity(BaseModel):
    """``hotkey``: reports are signed for it. It signs all rounds where no signers are named."""

    model_config = ConfigDict(frozen=True)

    hotkey: str | None = None
    round_signers: SignersText | None = None


def report_receiver(api: ServiceApi, configured: str | None) -> str | None:
    """The hotkey that reports are signed for: as configured, or as the API says.

    Raises ServiceError.
    """
    return configured or _ask(api).hotkey


def round_signers(api: ServiceApi) -> RoundSigners | None:
    """Who signs rounds, as the API says; None: it names nobody. Raises ServiceError."""
    said = _ask(api)
    if said.round_signers is not None or said.hotkey is None:
        return said.round_signers
    return only_signer(said.hotkey)


def _ask(api: ServiceApi) -> Identity:
    return api.get("/hc", Identity)
