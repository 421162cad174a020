"""The miner as a process, against a rehearsal chain and a rehearsal hub."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet
from hub_helpers import OWNER, RunningHub, parler_files, running_hub
from neuron_processes import REPOSITORY_ROOT, run_neuron

from scoring.weights_digest import weights_digest
from utilities.chain import Chain, Commitment
from utilities.model_reference import parse_reference, submission_hash


@dataclass(frozen=True)
class Miner:
    """A person with a wallet, a home, and a model that is published as ``alice/NAME``."""

    devnet: RunningDevnet
    hub: RunningHub
    home: Path
    wallet: bt.Wallet
    name: str

    @property
    def hotkey(self) -> str:
        return str(self.wallet.hotkey.ss58_address)

    def run(
        self, *flags: str, user: str | None = OWNER, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The miner's command with ``flags`` after those that every run needs."""
        needed = {
            "--repo_namespace": OWNER,
            "--repo_name": self.name,
            "--subtensor.chain_endpoint": self.devnet.url,
            "--wallet.name": self.wallet.name,
            "--wallet.path": str(self.home),
        }
        token = {"HF_TOKEN": f"hf_{user}"} if user else {}
        return run_neuron(
            "miner",
            self.home,
            *(word for pair in needed.items() for word in pair),
            *flags,
            environment={"HF_ENDPOINT": self.hub.url, **token, **environment},
        )

    def model(self, **changes: bytes) -> Path:
        """A directory with a model that admission accepts, beside files that it would not."""
        directory = self.home / "finetune"
        directory.mkdir()
        for name, content in {**parler_files(), "optimizer.pt": b"pickle", **changes}.items():
            (directory / name).write_bytes(content)
        (directory / "checkpoint-500").mkdir()
        (directory / "checkpoint-500" / "model.safetensors").write_bytes(b"an older one")
        return directory

    def committed(self) -> Commitment | None:
        """What the chain shows of the miner's hotkey."""
        with Chain(self.devnet.url) as chain:
            found = chain.commitments(NETUID)
        return next((entry for entry in found if entry.hotkey == self.hotkey), None)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        running.rule("Tempo", 1_000)
        yield running


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def miner(
    devnet: RunningDevnet, hub: RunningHub, tmp_path: Path, request: pytest.FixtureRequest
) -> Miner:
    name = request.node.originalname.removeprefix("test_")[:20].strip("_")
    return Miner(devnet, hub, tmp_path, devnet.member(tmp_path, "coldkey2"), name)


def test_a_directory_is_shown_uploaded_and_committed_once(miner: Miner) -> None:
    directory = miner.model()
    shown = miner.run("--model_dir", str(directory))
    assert shown.returncode == 0, shown.stderr
    assert "nothing was committed: --online is not True" in shown.stdout
    assert "left out    optimizer.pt" in shown.stdout
    assert not miner.hub.api().repo_exists(f"{OWNER}/{miner.name}")
    assert miner.committed() is None

    done = miner.run("--model_dir", str(directory), "--online", "True")
    assert done.returncode == 0, done.stderr
    published = miner.hub.api(None).model_info(f"{OWNER}/{miner.name}")
    names = {sibling.rfilename for sibling in published.siblings or ()}
    assert set(parler_files()) <= names
    assert "optimizer.pt" not in names
    assert not any(name.startswith("checkpoint") for name in names)
    entry = miner.committed()
    assert entry is not None
    assert entry.text is not None
    reference = parse_reference(entry.text, committed_by=miner.hotkey)
    assert reference.revision == published.sha
    (directory / "checkpoint-500" / "model.safetensors").unlink()
    assert reference.weights_digest == weights_digest(directory)
    assert f"in block {entry.block}, read back and equal" in done.stdout
    assert reference.weights_digest in shown.stdout

    again = miner.run("--online", "True")
    assert again.returncode == 0, again.stderr
    assert f"the same is committed already, in block {entry.block}" in again.stdout
    assert miner.committed() == entry


def test_a_published_repository_is_downloaded_once_for_its_digest(miner: Miner) -> None:
    revision = miner.hub.publish(miner.name, parler_files())
    first = miner.run("--online", "--model_hash", "555")
    assert first.returncode == 0, first.stderr
    assert "note        --model_hash 555 is not it" in first.stdout
    entry = miner.committed()
    assert entry is not None
    assert entry.text is not None
    reference = parse_reference(entry.text, committed_by=miner.hotkey)
    assert reference.revision == revision
    downloads = miner.home / "var" / "models" / f"{OWNER}--{miner.name}" / revision
    assert reference.weights_digest == weights_digest(downloads)


def test_the_short_form_is_that_of_older_miners(miner: Miner) -> None:
    miner.hub.publish(miner.name, parler_files())
    done = miner.run("--online", "True", "--short_commitment")
    assert done.returncode == 0, done.stderr
    number = submission_hash(OWNER, miner.name, "default", miner.hotkey)
    entry = miner.committed()
    assert entry is not None
    assert entry.text == f"{OWNER}:{miner.name}:default:{miner.hotkey}:{number}:tts"
    assert not (miner.home / "var" / "models").exists()
    miner.hub.publish(miner.name, {**parler_files(), "README.md": b"another revision"})
    again = miner.run("--online", "True", "--short_commitment")
    assert again.returncode == 0, again.stderr
    newer = miner.committed()
    assert newer is not None
    assert (newer.text, newer.block) == (entry.text, entry.block + 1)


def test_a_name_too_long_for_the_short_form_is_told_before_anything_else(miner: Miner) -> None:
    refused = miner.run("--short_commitment", "--repo_name", "x" * 90)
    assert refused.returncode == 2
    assert "or the long form" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the sealing SDK is made on Linux only")
def test_a_sealed_commitment_is_read_by_nobody_until_its_time(miner: Miner) -> None:
    miner.hub.publish(miner.name, parler_files())
    sealing = {"PYTHONPATH": str(miner.devnet.root / "sdk")}
    done = miner.run("--online", "True", "--sealed", "1h", **sealing)
    assert done.returncode == 0, done.stderr
    entry = miner.committed()
    assert entry is not None
    assert (entry.status, entry.text) == ("sealed", None)
    assert f"until round {entry.reveal_round}" in done.stdout
    miner.devnet.control("advance", seconds=3_700)
    opened = miner.committed()
    assert opened is not None
    assert opened.text is not None
    assert parse_reference(opened.text, committed_by=miner.hotkey).weights_digest
    again = miner.run("--online", "True")
    assert f"the same is committed already, in block {opened.block}" in again.stdout


def test_what_admission_refuses_is_told_before_anything_is_spent(miner: Miner) -> None:
    miner.hub.publish(miner.name, {**parler_files(), "modeling.py": b"import os"})
    refused = miner.run("--online", "True")
    assert refused.returncode == 1
    assert "error [no-code]: the repository holds 'modeling.py'" in refused.stderr
    assert "Remove it" in refused.stderr
    assert miner.committed() is None


def test_a_directory_that_admission_refuses_is_not_uploaded(miner: Miner) -> None:
    directory = miner.model(**{"config.json": b'{"model_type": "llama"}'})
    refused = miner.run("--online", "True", "--model_dir", str(directory))
    assert refused.returncode == 1
    assert "error [architecture]" in refused.stderr
    assert not miner.hub.api().repo_exists(f"{OWNER}/{miner.name}")
    missing = miner.run("--model_dir", str(miner.home / "nowhere"))
    assert missing.returncode == 1
    assert "is not a directory" in missing.stderr


def test_a_spoilt_weights_file_is_told(miner: Miner) -> None:
    directory = miner.model(**{"model.safetensors": b"\xff" * 100})
    refused = miner.run("--model_dir", str(directory))
    assert refused.returncode == 1
    assert "error [MODEL_DIRECTORY_UNUSABLE]" in refused.stderr
    assert "Save the model again" in refused.stderr


@pytest.mark.parametrize("user", ["bob", None])
def test_without_the_right_to_write_nothing_is_committed(miner: Miner, user: str | None) -> None:
    refused = miner.run("--online", "True", "--model_dir", str(miner.model()), user=user)
    assert refused.returncode == 1
    assert "error [UPLOAD_REFUSED]" in refused.stderr
    assert "hf auth login" in refused.stderr
    assert miner.committed() is None


def test_a_stranger_is_told_to_register(miner: Miner) -> None:
    new_wallet(miner.home, "coldkey2")
    refused = miner.run("--online", "True", "--model_dir", str(miner.model()))
    assert refused.returncode == 1
    assert "error [HOTKEY_NOT_REGISTERED]" in refused.stderr
    assert f"btcli subnets register --netuid {NETUID}" in refused.stderr
    assert not miner.hub.api().repo_exists(f"{OWNER}/{miner.name}")


def test_a_used_up_quota_is_a_matter_of_time(miner: Miner) -> None:
    miner.hub.publish(miner.name, parler_files())
    with Chain(miner.devnet.url) as chain:
        for _ in range(6):
            chain.commit(NETUID, "x" * 512, miner.wallet)
    refused = miner.run("--online", "True")
    assert refused.returncode == 3, refused.stdout
    assert "error [CHAIN_RATE_LIMITED]" in refused.stderr


def test_hub_and_chain_that_do_not_answer_are_a_matter_of_time(miner: Miner) -> None:
    nobody = "http://127.0.0.1:1"
    for flags, environment, name in (
        ((), {"HF_ENDPOINT": nobody}, "HUB_UNREACHABLE"),
        (("--subtensor.chain_endpoint", "ws://127.0.0.1:1"), {}, "CHAIN_UNREACHABLE"),
    ):
        failed = miner.run("--online", "True", *flags, **environment)
        assert failed.returncode == 3, failed.stdout
        assert f"error [{name}]" in failed.stderr
        assert "Traceback" not in failed.stderr


def test_a_missing_key_is_a_wrong_setting(miner: Miner) -> None:
    missing = miner.run("--wallet.hotkey", "nobody")
    assert missing.returncode == 2
    assert "error [WALLET_UNUSABLE]: there is no hotkey 'nobody'" in missing.stderr


def test_names_that_cannot_be_are_wrong_flags(miner: Miner) -> None:
    refused = miner.run("--repo_name", "a:b")
    assert refused.returncode == 2
    assert "error [REFERENCE_INVALID]" in refused.stderr


@pytest.mark.parametrize("command", [("neurons/miner.py",), ("-m", "neurons.miner")])
def test_it_starts_as_a_script_and_as_a_module(command: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--repo_namespace" in done.stdout
    assert "Exit codes:" in done.stdout
