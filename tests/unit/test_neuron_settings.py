"""What the programs on chain take from the command line, the environment and ``.env``."""

from __future__ import annotations

from pathlib import Path

import bittensor as bt
import pytest

from neurons.flags import parse_settings
from neurons.settings import (
    LOCAL_ENDPOINT,
    NETWORKS,
    MinerSettings,
    ModelQueueSettings,
    NeuronSettings,
)
from neurons.validator_settings import ValidatorSettings
from utilities.round_signers import only_signer, parse_signers

REPOSITORY = ("--repo_namespace", "parler-tts", "--repo_name", "parler-tts-mini-v1")
LOCAL_API = ("--use-local-validation-api",)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VALIDATION_API_URL", "ADMIN_KEY", "VAR_DIR", "LOG_LEVEL", "BT_CHAIN_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def miner(*flags: str) -> MinerSettings:
    return parse_settings(MinerSettings, (*REPOSITORY, *flags), description="", examples="")


def validator(*flags: str) -> ValidatorSettings:
    return parse_settings(ValidatorSettings, flags, description="", examples="")


def refused(capsys: pytest.CaptureFixture[str], settings: type, *flags: str) -> str:
    """The message about flags that are wrong."""
    with pytest.raises(SystemExit) as ended:
        parse_settings(settings, flags, description="", examples="")
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_the_documented_miner_command_is_understood() -> None:
    documented = (
        "--repo_namespace parler-tts --repo_name parler-tts-mini-v1 --config_template default "
        "--netuid 231 --subtensor.network test --online True --model_hash 555 "
        "--wallet.name coldkey2 --wallet.hotkey hotkey2 --wallet.path ~/.bittensor/wallets/ "
        "--logging.debug True"
    )
    settings = parse_settings(MinerSettings, documented.split(), description="", examples="")
    assert (settings.repo_namespace, settings.repo_name) == ("parler-tts", "parler-tts-mini-v1")
    assert (settings.netuid, settings.endpoint, settings.online) == (231, "test", True)
    assert (settings.wallet_name, settings.wallet_hotkey) == ("coldkey2", "hotkey2")
    assert (settings.model_hash, settings.log_level) == ("555", "DEBUG")


def test_the_documented_validator_commands_are_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VALIDATION_API_URL", "https://api.example/")
    first = validator(
        *("--wallet.name", "coldkey4", "--wallet.hotkey", "hotkey4", "--device", "cuda"),
        *("--netuid", "231", "--subtensor.network", "finney"),
        *("--wallet.path", "~/.bittensor/wallets/"),
    )
    assert (first.device, first.endpoint) == ("cuda", "finney")
    assert first.api_url == "https://api.example"
    second = validator(
        *("--wallet.name", "coldkey", "--wallet.hotkey", "hotkey", "--local"),
        *("--subtensor.network", "local", "--subtensor.chain_endpoint", "ws://chain_endpoint"),
    )
    assert second.endpoint == "ws://chain_endpoint"
    third = validator(*LOCAL_API, "--offline", "--immediate", "--dont_set_weights")
    assert (third.offline, third.immediate, third.dont_set_weights) == (True, True, True)
    assert third.api_url == "http://127.0.0.1:7777"
    assert validator(*LOCAL_API, "--local-validation-api-port", "80").api_url.endswith(":80")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), False),
        (("--logging.debug",), True),
        (("--logging.debug", "True"), True),
        (("--logging.debug", "true"), True),
        (("--logging.debug=1",), True),
        (("--logging.debug", "False"), False),
        (("--logging.debug", "0"), False),
    ],
)
def test_switches_stand_bare_or_have_a_value(flags: tuple[str, ...], *, expected: bool) -> None:
    assert miner(*flags).logging_debug is expected


@pytest.mark.parametrize(
    ("flags", "endpoint"),
    [
        ((), "finney"),
        (("--subtensor.network", "test"), "test"),
        (("--subtensor.network", "wss://node.example:443"), "wss://node.example:443"),
        (("--subtensor.network", "local"), LOCAL_ENDPOINT),
        (("--local",), LOCAL_ENDPOINT),
        (("--local", "--subtensor.network", "finney"), LOCAL_ENDPOINT),
        (("--local", "--subtensor.chain_endpoint", "ws://[::1]:1"), "ws://[::1]:1"),
        (("--subtensor.network", "test", "--subtensor.chain_endpoint", "ws://a:1"), "ws://a:1"),
    ],
)
def test_the_endpoint_follows_from_the_flags(flags: tuple[str, ...], endpoint: str) -> None:
    assert miner(*flags).endpoint == endpoint


def test_the_sdk_knows_every_network() -> None:
    assert set(NETWORKS) <= set(bt.settings.NETWORKS)
    assert bt.settings.NETWORKS["local"] == LOCAL_ENDPOINT


def test_flags_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "NEURON_NETUID=1\nNEURON_WALLET_NAME=filed\nVAR_DIR=/filed\nUNKNOWN=1\n"
    )
    monkeypatch.setenv("NEURON_NETUID", "2")
    monkeypatch.setenv("NEURON_WALLET_HOTKEY", "exported")
    settings = miner()
    assert (settings.netuid, settings.wallet_name) == (2, "filed")
    assert (settings.wallet_hotkey, settings.var_dir) == ("exported", Path("/filed"))
    assert miner("--netuid", "3").netuid == 3


@pytest.mark.parametrize(
    ("settings", "flags", "message"),
    [
        (MinerSettings, (), "--repo_namespace: Field required (for example"),
        (MinerSettings, (*REPOSITORY, "--netuid", "x"), "--netuid: Input should be a valid int"),
        (MinerSettings, (*REPOSITORY, "--netuid", "-1"), "--netuid: Input should be greater"),
        (MinerSettings, (*REPOSITORY, "--online", "maybe"), "--online: Input should be a valid"),
        (MinerSettings, (*REPOSITORY, "--sealed", "soon"), "(for example --sealed 1h)"),
        (MinerSettings, (*REPOSITORY, "--hotkey", "x"), "unrecognized arguments: --hotkey"),
        (MinerSettings, (*REPOSITORY, "--net", "1"), "unrecognized arguments: --net"),
        (MinerSettings, (*REPOSITORY, "--subtensor.network", "x"), "give one of finney, test"),
        (MinerSettings, (*REPOSITORY, "--subtensor.chain_endpoint", "h:1"), "starts with ws://"),
        (ValidatorSettings, (), "set VALIDATION_API_URL in the environment or .env"),
        (ModelQueueSettings, LOCAL_API, "ADMIN_KEY: Field required"),
        (ModelQueueSettings, (*LOCAL_API, "--admin_key", "x"), "unrecognized arguments"),
    ],
)
def test_wrong_settings_are_refused_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
    settings: type[NeuronSettings],
    flags: tuple[str, ...],
    message: str,
) -> None:
    assert message in refused(capsys, settings, *flags)


def test_a_wrong_secret_is_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALIDATION_API_URL", "user:hush@api.example")
    told = refused(capsys, ValidatorSettings)
    assert "VALIDATION_API_URL: give an address that starts with http://" in told
    assert "hush" not in told


@pytest.mark.parametrize("settings", [MinerSettings, ValidatorSettings, ModelQueueSettings])
def test_help_explains_every_setting_with_an_example(
    capsys: pytest.CaptureFixture[str], settings: type[NeuronSettings]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_settings(settings, ["--help"], description="Does it.", examples="  python x.py")
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        flag = extra["flag"] if isinstance(extra, dict) else field.validation_alias
        assert str(flag or f"NEURON_{name.upper()}") in shown
    flags = [f for f in settings.model_fields.values() if f.json_schema_extra]
    assert shown.count("Example: --") == len(flags)


def test_the_hotkey_of_the_api_signs_the_rounds_unless_signers_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    new = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
    assert validator(*LOCAL_API).trusted_signers is None
    monkeypatch.setenv("VALIDATION_API_HOTKEY", old)
    assert validator(*LOCAL_API).trusted_signers == only_signer(old)
    signers = f"{old},{new}@612"
    assert validator(*LOCAL_API, "--round_signers", signers).trusted_signers == parse_signers(
        signers
    )
    monkeypatch.setenv("ROUND_SIGNERS", new)
    assert validator(*LOCAL_API).trusted_signers == only_signer(new)
    told = refused(capsys, ValidatorSettings, *LOCAL_API, "--round_signers", f"{old},{new}")
    assert "--round_signers: each hand-over must come after the one before it" in told
