"""Opening the keys that sign: what is missing, locked or spoilt is told, and nothing is asked."""

from __future__ import annotations

from pathlib import Path

import bittensor as bt
import pytest

from neurons.settings import MinerSettings
from neurons.wallets import open_wallet
from utilities.chain_wallets import WalletError


@pytest.fixture
def wallet(tmp_path: Path) -> bt.Wallet:
    wallet = bt.Wallet(name="coldkey2", hotkey="hotkey2", path=str(tmp_path))
    wallet.create_new_hotkey(use_password=False, overwrite=True, suppress=True)
    return wallet


def settings(path: Path, hotkey: str = "hotkey2", name: str = "coldkey2") -> MinerSettings:
    return MinerSettings(
        repo_namespace="alice",
        repo_name="voice",
        wallet_path=path,
        wallet_name=name,
        wallet_hotkey=hotkey,
    )


def test_a_hotkey_without_password_opens(wallet: bt.Wallet, tmp_path: Path) -> None:
    opened = open_wallet(settings(tmp_path))
    assert opened.hotkey.ss58_address == wallet.hotkey.ss58_address


def test_a_missing_hotkey_is_told_with_the_flags(wallet: bt.Wallet, tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="no hotkey 'other' in wallet 'coldkey2'") as caught:
        open_wallet(settings(tmp_path, "other"))
    assert "--wallet.hotkey" in caught.value.remedy
    with pytest.raises(WalletError, match="no wallet has that name"):
        open_wallet(settings(tmp_path, name="a/b/c"))


def test_a_locked_hotkey_asks_nobody_where_nobody_is(
    wallet: bt.Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet.create_new_hotkey(
        hotkey_password="secret", use_password=True, overwrite=True, suppress=True
    )
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(WalletError, match="no terminal to ask"):
        open_wallet(settings(tmp_path))


def test_a_spoilt_key_is_told(wallet: bt.Wallet, tmp_path: Path) -> None:
    Path(wallet.hotkey_file.path).write_text("no key")
    with pytest.raises(WalletError, match="cannot be opened"):
        open_wallet(settings(tmp_path))
