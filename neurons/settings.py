"""Settings of the programs on chain: flags, else environment, else ``.env``; one class a program.

Environment names are those of the fields after ``NEURON_``; what the evaluation service reads too
has the service's name. The validator's are in ``neurons/validator_settings.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from neurons.flags import option
from utilities.logs import LogFormat

DEFAULT_NETUID: Final = 231
LOCAL_ENDPOINT: Final = "ws://127.0.0.1:9944"
NETWORKS: Final = ("finney", "test", "archive", "local")
"""Networks by name. The SDK knows their endpoints; ``local`` is ours."""
DEFAULT_API_PORT: Final = 7777

_ENDPOINTS: Final = ("ws://", "wss://")


def _network(name: str) -> str:
    if name in NETWORKS or name.startswith(_ENDPOINTS):
        return name
    raise ValueError(f"give one of {', '.join(NETWORKS)}, or an address that starts with ws://")


def _endpoint(address: str) -> str:
    if address.startswith(_ENDPOINTS):
        return address
    raise ValueError("give an address that starts with ws:// or wss://")


def _web_address(address: str) -> str:
    if address.startswith(("http://", "https://")):
        return address.rstrip("/")
    raise ValueError("give an address that starts with http:// or https://")


class NeuronSettings(BaseSettings):
    """Which chain, which subnet, and how much to log."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_prefix="NEURON_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    subtensor_network: Annotated[str, AfterValidator(_network)] = option(
        "--subtensor.network",
        "finney",
        explained="The network: finney (mainnet), test, archive or local.",
        example="test",
    )
    subtensor_chain_endpoint: Annotated[str, AfterValidator(_endpoint)] | None = option(
        "--subtensor.chain_endpoint",
        None,
        explained="The address of a node. It wins over --subtensor.network and --local.",
        example=LOCAL_ENDPOINT,
    )
    local: bool = option(
        "--local",
        False,
        explained=f"Use the node of this machine, {LOCAL_ENDPOINT} unless "
        "--subtensor.chain_endpoint names another.",
        example="",
    )
    netuid: int = option(
        "--netuid",
        DEFAULT_NETUID,
        explained="The number of the subnet on that network.",
        example="231",
        ge=0,
        le=65_535,
    )
    logging_debug: bool = option(
        "--logging.debug", False, explained="Log what only a debugger wants.", example="True"
    )
    least_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="LOG_LEVEL", description="The least level that is logged."
    )
    log_format: LogFormat = Field(
        default="text", validation_alias="LOG_FORMAT", description="text, or json: one per line."
    )
    var_dir: Path = Field(
        default=Path("var"),
        validation_alias="VAR_DIR",
        description="Where state and downloads are kept, by default var.",
    )

    @property
    def endpoint(self) -> str:
        """What to connect to: an address, or the name of a network that the SDK knows."""
        if self.subtensor_chain_endpoint is not None:
            return self.subtensor_chain_endpoint
        if self.local or self.subtensor_network == "local":
            return LOCAL_ENDPOINT
        return self.subtensor_network

    @property
    def log_level(self) -> str:
        """The least level that is logged."""
        return "DEBUG" if self.logging_debug else self.least_level


class WalletSettings(NeuronSettings):
    """Whose keys sign."""

    wallet_name: str = option(
        "--wallet.name",
        "default",
        explained="The wallet, by the name of its coldkey.",
        example="coldkey2",
        min_length=1,
    )
    wallet_hotkey: str = option(
        "--wallet.hotkey",
        "default",
        explained="The hotkey within the wallet.",
        example="hotkey2",
        min_length=1,
    )
    wallet_path: Path = option(
        "--wallet.path",
        Path("~/.bittensor/wallets"),
        explained="The directory that holds the wallets.",
        example='"~/.bittensor/wallets/"',
    )


class ValidationApiSettings(NeuronSettings):
    """Where the validation API is."""

    use_local_validation_api: bool = option(
        "--use-local-validation-api",
        False,
        explained="Use the validation API of this machine instead of VALIDATION_API_URL.",
        example="",
    )
    local_validation_api_port: int = option(
        "--local-validation-api-port",
        DEFAULT_API_PORT,
        explained="The port of the validation API of this machine.",
        example="7777",
        ge=1,
        le=65_535,
    )
    validation_api_url: Annotated[str, AfterValidator(_web_address)] | None = Field(
        default=None,
        validation_alias="VALIDATION_API_URL",
        description="The validation API, as its operator publishes it: https://HOST.",
    )

    @model_validator(mode="after")
    def _names_an_api(self) -> ValidationApiSettings:
        if self.validation_api_url is None and not self.use_local_validation_api:
            raise ValueError(
                "no validation API is named: set VALIDATION_API_URL in the environment or .env to "
                "the address that the subnet's operator publishes, or give "
                "--use-local-validation-api"
            )
        return self

    @property
    def api_url(self) -> str:
        """The address of the validation API, without a slash at its end."""
        if self.use_local_validation_api or self.validation_api_url is None:
            return f"http://127.0.0.1:{self.local_validation_api_port}"
        return self.validation_api_url


class MinerSettings(WalletSettings):
    """Settings of ``miner.py``."""

    online: bool = option(
        "--online",
        False,
        explained="Commit. Without it everything is checked and shown, and nothing is spent.",
        example="True",
    )
    repo_namespace: str = option(
        "--repo_namespace",
        ...,
        explained="The namespace of your repository on the hub. Required.",
        example="parler-tts",
    )
    repo_name: str = option(
        "--repo_name",
        ...,
        explained="The name of your repository on the hub. Required.",
        example="parler-tts-mini-v1",
    )
    config_template: str = option(
        "--config_template",
        "default",
        explained="The configuration template of the competition.",
        example="default",
    )
    model_hash: str | None = option(
        "--model_hash",
        None,
        explained="Informational. The hash is computed; another one given here is pointed out.",
        example="555",
    )
    model_dir: Path | None = option(
        "--model_dir",
        None,
        explained="A directory with the model: what a model needs of it is uploaded first.",
        example="./my-finetune",
    )
    short_commitment: bool = option(
        "--short_commitment",
        False,
        explained="Commit the older form, which names neither revision nor weights. Its priority "
        "counts from when the service first sees it.",
        example="True",
    )
    sealed: str | None = option(
        "--sealed",
        None,
        explained="Commit sealed: nobody can read it for that time (s, m, h or d).",
        example="1h",
        pattern=r"^[1-9][0-9]{0,5}[smhd]$",
    )


class ModelQueueSettings(ValidationApiSettings):
    """Settings of ``model_queue.py``."""

    immediate: bool = option("--immediate", False, explained="Do one pass now and end.", example="")
    poll_seconds: float = Field(
        default=12.0, gt=0, le=3_600, description="Time between two looks at the chain: a block."
    )
    admin_key: SecretStr = Field(
        validation_alias="ADMIN_KEY",
        description="The admin key of the validation API. Required.",
    )
