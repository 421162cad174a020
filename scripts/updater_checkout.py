"""The checkout that the auto-updater keeps: what it could become, and how it becomes it.

Local changes are carried over, or the move does not take place: what a person edited here is never
lost, whichever step fails. Git itself decides what is newer, what is signed and what conflicts.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utilities.errors import SubnetError

GIT_SECONDS = 300.0
# Tags go to a place of their own: a tag that somebody made here is neither used nor overwritten.
FETCHED_TAGS = "refs/updater/tags/"
_STASH = "local changes, put aside by the updater"


class CheckoutError(SubnetError):
    """Git refused something; nothing was changed."""

    code = "CHECKOUT"


class FetchError(CheckoutError):
    """The remote does not answer."""

    code = "FETCH"
    transient = True


class LocalChangesError(CheckoutError):
    """A version cannot be installed beside what was changed here; everything is as before."""

    code = "LOCAL_CHANGES"


@dataclass(frozen=True)
class Version:
    """A commit that could be installed. ``name`` is the tag or branch that points to it."""

    commit: str
    name: str


class Checkout:
    """A clone at ``root`` that follows ``branch`` of ``remote``."""

    def __init__(self, root: Path, *, remote: str, branch: str) -> None:
        self._root, self._remote, self._branch = root, remote, branch

    def head(self) -> str:
        """The commit that is checked out. Raises CheckoutError."""
        return self._git("rev-parse", "HEAD")

    def fetch(self) -> None:
        """Ask the remote for branch and tags. Raises FetchError."""
        branch = f"+refs/heads/{self._branch}:refs/remotes/{self._remote}/{self._branch}"
        tags = f"+refs/tags/*:{FETCHED_TAGS}*"
        try:
            self._git("fetch", "--no-tags", "--prune", self._remote, branch, tags)
        except CheckoutError as error:
            raise FetchError(
                f"cannot fetch from {self._remote}: {error.message}",
                "It is tried again; check the network and `git remote -v`.",
            ) from error

    def newer_versions(self, allowed_signers: Path | None) -> tuple[Version, ...]:
        """What was fetched and descends from HEAD, newest first.

        With ``allowed_signers`` (the format of ssh-keygen) that is every tag that one of them
        signed under its own name; without, the branch. Raises CheckoutError.
        """
        if allowed_signers is None:
            candidates = [self._branch_head()]
        else:
            candidates = [tag for tag in self._tags() if self._is_signed(tag, allowed_signers)]
        head = self.head()
        return tuple(v for v in candidates if v.commit != head and self._descends(v.commit, head))

    def has_diverged(self) -> bool:
        """Whether HEAD and the branch went different ways: local commits, or a rewritten branch."""
        fetched, head = self._branch_head().commit, self.head()
        return not self._descends(fetched, head) and not self._descends(head, fetched)

    def changed(self, before: str, after: str, paths: Sequence[str]) -> bool:
        """Whether any of ``paths`` differs between two commits. Raises CheckoutError."""
        return bool(self._git("diff", "--name-only", before, after, "--", *paths))

    def move_to(self, commit: str) -> None:
        """Check ``commit`` out on the branch that is checked out now, and carry changes over.

        Raises LocalChangesError, and CheckoutError; then everything is as it was.
        """
        before, changes = self.head(), self._put_aside()
        try:
            # --keep refuses to touch a file that git does not know.
            self._git("reset", "--keep", commit)
            if changes is not None:
                self._apply(changes, before)
        except LocalChangesError:
            raise
        except CheckoutError as error:
            if changes is not None:
                self._git("stash", "pop", "--index", "--quiet")
            raise LocalChangesError(
                f"{commit[:12]} cannot be checked out here: {error.message}",
                "Move away or commit what stands in the way; `git status` shows it.",
            ) from error

    def _put_aside(self) -> str | None:
        if not self._git("status", "--porcelain", "--untracked-files=no"):
            return None
        self._git("stash", "push", "--quiet", "--message", _STASH)
        return self._git("rev-parse", "stash@{0}")

    def _apply(self, changes: str, before: str) -> None:
        try:
            self._git("stash", "apply", "--quiet", changes)
        except CheckoutError as error:
            # Conflict markers may lie about; the changes themselves are safe in the stash.
            self._git("reset", "--hard", "--quiet", before)
            self._git("stash", "pop", "--index", "--quiet")
            raise LocalChangesError(
                f"the local changes do not fit the new version: {error.message}",
                "Commit, adapt or drop them (`git diff`); until then the old version stays.",
            ) from error
        self._git("stash", "drop", "--quiet")

    def _branch_head(self) -> Version:
        name = f"{self._remote}/{self._branch}"
        return Version(self._git("rev-parse", f"refs/remotes/{name}^{{commit}}"), name)

    def _tags(self) -> list[Version]:
        form = "%(objecttype) %(tag) %(*objectname) %(refname)"
        listed = self._git(
            "for-each-ref", "--sort=-version:refname", f"--format={form}", FETCHED_TAGS
        )
        tags = []
        for line in listed.splitlines():
            kind, *rest = line.split(" ")
            # A tag object that was published under another name is somebody replaying an old one.
            if kind == "tag" and len(rest) == 3 and rest[2] == FETCHED_TAGS + rest[0]:
                tags.append(Version(commit=rest[1], name=rest[0]))
        return tags

    def _is_signed(self, tag: Version, allowed_signers: Path) -> bool:
        settings = (
            f"gpg.ssh.allowedSignersFile={allowed_signers.resolve()}",
            # With these, whatever key this machine happens to know would do.
            "gpg.openpgp.program=false",
            "gpg.x509.program=false",
        )
        config = [part for setting in settings for part in ("-c", setting)]
        return self._succeeds(*config, "verify-tag", FETCHED_TAGS + tag.name)

    def _descends(self, commit: str, ancestor: str) -> bool:
        return self._succeeds("merge-base", "--is-ancestor", ancestor, commit)

    def _succeeds(self, *arguments: str) -> bool:
        return self._run(*arguments).returncode == 0

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            told = (done.stderr.strip() or done.stdout.strip())[-2_000:]
            raise CheckoutError(f"git {arguments[0]}: {told}", f"See `git status` in {self._root}.")
        return done.stdout.strip()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                # Nobody is there to answer a question.
                ["git", "-C", str(self._root), *arguments],
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"},
                capture_output=True,
                text=True,
                check=False,
                timeout=GIT_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CheckoutError(
                f"git {arguments[0]}: {error}", "Install git, or look at it."
            ) from error
