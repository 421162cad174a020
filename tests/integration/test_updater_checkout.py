"""What the auto-updater does to a clone: real git, a local remote, real SSH signatures."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from updater_checkout import Checkout, CheckoutError, FetchError, LocalChangesError

IDENTITY = ("-c", "user.name=dev", "-c", "user.email=dev@example.com")


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(where), *IDENTITY, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass
class World:
    """An author's repository, and somebody's clone of it."""

    author: Path
    clone: Path

    @property
    def checkout(self) -> Checkout:
        return Checkout(self.clone, remote="origin", branch="main")

    def publish(self, **files: str) -> str:
        for name, content in files.items():
            (self.author / name).write_text(content)
        git(self.author, "add", "-A")
        git(self.author, "commit", "-q", "-m", "A version")
        return git(self.author, "rev-parse", "HEAD")

    def key(self, name: str) -> Path:
        if shutil.which("ssh-keygen") is None:
            pytest.skip("ssh-keygen is not installed (Debian: openssh-client)")
        path = self.author.parent / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
        subprocess.run(command, check=True)
        return path

    def sign(self, tag: str, key: Path, commit: str = "HEAD") -> None:
        settings = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}")
        git(self.author, *settings, "tag", "-s", "-m", tag, tag, commit)

    def signers(self, *keys: Path) -> Path:
        path = self.author.parent / "allowed"
        lines = [f"dev@example.com {k.with_suffix('.pub').read_text()}" for k in keys]
        path.write_text("".join(lines))
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    author = tmp_path / "author"
    author.mkdir()
    git(author, "init", "-q", "-b", "main")
    made = World(author, tmp_path / "clone")
    made.publish(code="one\n", notes="a\nb\nc\n")
    git(tmp_path, "clone", "-q", str(author), str(made.clone))
    return made


def test_the_branch_is_followed_where_no_signers_are_named(world: World) -> None:
    new = world.publish(code="two\n")
    world.checkout.fetch()
    (version,) = world.checkout.newer_versions(None)
    assert version.commit == new
    world.checkout.move_to(new)
    assert (world.clone / "code").read_text() == "two\n"
    assert git(world.clone, "symbolic-ref", "--short", "HEAD") == "main"
    assert world.checkout.newer_versions(None) == ()


def test_local_changes_and_untracked_files_are_carried_over(world: World) -> None:
    new = world.publish(code="two\n")
    (world.clone / "notes").write_text("a\nb\nmine\n")
    (world.clone / ".env").write_text("SECRET=1\n")
    world.checkout.fetch()
    world.checkout.move_to(new)
    assert (world.clone / "notes").read_text() == "a\nb\nmine\n"
    assert (world.clone / ".env").read_text() == "SECRET=1\n"
    assert git(world.clone, "stash", "list") == ""


def test_a_local_change_that_conflicts_keeps_the_old_version_and_the_change(world: World) -> None:
    old = world.checkout.head()
    new = world.publish(code="two\n")
    (world.clone / "code").write_text("mine\n")
    world.checkout.fetch()
    with pytest.raises(LocalChangesError, match="do not fit"):
        world.checkout.move_to(new)
    assert world.checkout.head() == old
    assert (world.clone / "code").read_text() == "mine\n"
    assert git(world.clone, "stash", "list") == ""


def test_an_untracked_file_in_the_way_is_not_overwritten(world: World) -> None:
    old = world.checkout.head()
    new = world.publish(extra="theirs\n")
    (world.clone / "extra").write_text("mine\n")
    (world.clone / "notes").write_text("a\nb\nmine\n")
    world.checkout.fetch()
    with pytest.raises(LocalChangesError, match="extra"):
        world.checkout.move_to(new)
    assert world.checkout.head() == old
    assert (world.clone / "extra").read_text() == "mine\n"
    assert (world.clone / "notes").read_text() == "a\nb\nmine\n"


def test_local_commits_stop_the_updates_and_are_told(world: World) -> None:
    (world.clone / "code").write_text("mine\n")
    git(world.clone, "commit", "-q", "-am", "Mine")
    world.publish(code="two\n")
    world.checkout.fetch()
    assert world.checkout.newer_versions(None) == ()
    assert world.checkout.has_diverged()


def test_a_rewritten_branch_is_not_followed(world: World) -> None:
    world.publish(code="two\n")
    git(world.clone, "pull", "-q")
    git(world.author, "reset", "-q", "--hard", "HEAD~1")
    world.publish(code="other\n")
    world.checkout.fetch()
    assert world.checkout.newer_versions(None) == ()
    assert world.checkout.has_diverged()


def test_only_tags_that_an_allowed_key_signed_count(world: World) -> None:
    ours, strange = world.key("ours"), world.key("strange")
    signed = world.publish(code="signed\n")
    world.sign("v1.2", ours)
    world.publish(code="strange\n")
    world.sign("v1.3", strange)
    world.publish(code="unsigned\n")
    git(world.author, "tag", "-a", "-m", "v1.4", "v1.4")
    git(world.author, "tag", "v1.5")
    world.checkout.fetch()
    versions = world.checkout.newer_versions(world.signers(ours))
    assert [(v.name, v.commit) for v in versions] == [("v1.2", signed)]


def test_the_highest_of_several_signed_versions_comes_first(world: World) -> None:
    ours = world.key("ours")
    for number in ("v1.9", "v1.10", "v1.2"):
        world.publish(code=f"{number}\n")
        world.sign(number, ours)
    world.checkout.fetch()
    versions = world.checkout.newer_versions(world.signers(ours))
    assert [v.name for v in versions] == ["v1.10", "v1.9", "v1.2"]


def test_a_signed_tag_that_is_published_under_another_name_is_ignored(world: World) -> None:
    ours = world.key("ours")
    world.publish(code="signed\n")
    world.sign("v1.2", ours)
    git(world.author, "update-ref", "refs/tags/v9.0", git(world.author, "rev-parse", "v1.2"))
    git(world.author, "tag", "-d", "v1.2")
    world.checkout.fetch()
    assert world.checkout.newer_versions(world.signers(ours)) == ()


def test_a_signed_version_older_than_what_runs_is_no_candidate(world: World) -> None:
    ours = world.key("ours")
    world.sign("v3.0", ours, commit="HEAD")
    world.publish(code="two\n")
    git(world.clone, "pull", "-q")
    world.checkout.fetch()
    assert world.checkout.newer_versions(world.signers(ours)) == ()


def test_going_back_carries_local_changes_too(world: World) -> None:
    old, new = world.checkout.head(), world.publish(code="two\n")
    (world.clone / "notes").write_text("a\nb\nmine\n")
    world.checkout.fetch()
    world.checkout.move_to(new)
    world.checkout.move_to(old)
    assert world.checkout.head() == old
    assert (world.clone / "code").read_text() == "one\n"
    assert (world.clone / "notes").read_text() == "a\nb\nmine\n"


def test_a_remote_that_is_gone_is_told_and_passes(world: World) -> None:
    world.author.rename(world.author.with_name("moved"))
    with pytest.raises(FetchError, match="cannot fetch from origin") as caught:
        world.checkout.fetch()
    assert caught.value.transient


def test_what_is_no_clone_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckoutError, match="not a git repository"):
        Checkout(tmp_path, remote="origin", branch="main").head()
