"""Settings of ``validator.py``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from neurons.audit_settings import AuditSettings
from neurons.flags import option
from neurons.settings import ValidationApiSettings, WalletSettings
from utilities.round_signers import RoundSigners, SignersText, only_signer
from utilities.ss58 import is_ss58


def _hotkey(address: str) -> str:
    if is_ss58(address):
        return address
    raise ValueError("give the ss58 address of a hotkey")


class ValidatorSettings(AuditSettings, WalletSettings, ValidationApiSettings):
    """Settings of ``validator.py``."""

    offline: bool = option(
        "--offline",
        False,
        explained="Show the ranking without a key: nothing is signed, sent or set.",
        example="",
    )
    immediate: bool = option("--immediate", False, explained="Do one pass now and end.", example="")
    dont_set_weights: bool = option(
        "--dont_set_weights",
        False,
        explained="Do everything but set weights.",
        example="",
    )
    device: str = option(
        "--device",
        "cpu",
        explained="Where audits compute. Weights are computed on the processor.",
        example="cuda",
        pattern=r"^(cpu|cuda(:\d+)?)$",
    )
    mechid: int = option(
        "--mechid",
        0,
        explained="The incentive mechanism of the subnet to set weights for.",
        example="0",
        ge=0,
        le=255,
    )
    round_signers: SignersText | None = option(
        "--round_signers",
        None,
        explained="Whose signature of published rounds is believed: a hotkey, or OLD,NEW@ROUND "
        "where NEW signs from round ROUND on. By default the hotkey of the API.",
        example="5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        validation_alias="ROUND_SIGNERS",
    )
    validation_api_hotkey: Annotated[str, AfterValidator(_hotkey)] | None = Field(
        default=None,
        validation_alias="VALIDATION_API_HOTKEY",
        description="The hotkey of the API, for which reports are signed, by default the one "
        "that the API names itself. It signs the rounds where --round_signers names nobody.",
    )
    poll_seconds: float = Field(
        default=12.0,
        gt=0,
        le=600,
        description="Time between two looks at the chain: a block.",
    )

    @property
    def trusted_signers(self) -> RoundSigners | None:
        """Who signs published rounds; None: whom the API names."""
        if self.round_signers is not None or self.validation_api_hotkey is None:
            return self.round_signers
        return only_signer(self.validation_api_hotkey)
