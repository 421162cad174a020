"""The reference to a model that a miner commits on the chain.

Short, as existing miners write it (at most 128 bytes, a ``Raw`` field)::

    namespace:name:config_template:hotkey:hash:competition_id

Long, which also pins the content (at most 512 bytes, ``BigRaw``)::

    namespace:name:config_template:hotkey:hash:competition_id:revision:weights_digest
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NewType

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public

from utilities.errors import SubnetError
from utilities.ss58 import is_ss58

Hotkey = NewType("Hotkey", str)
SubmissionHash = NewType("SubmissionHash", str)
Revision = NewType("Revision", str)
WeightsDigest = NewType("WeightsDigest", str)
CompetitionId = NewType("CompetitionId", str)
ConfigTemplate = NewType("ConfigTemplate", str)

TTS: Final = CompetitionId("tts")
COMPETITIONS: Final = {"tts": TTS, "d1": TTS}
"""Every name of a competition that is understood, and the competition. Miners from before there
was more than one write ``d1``."""
CONFIG_TEMPLATES: Final = frozenset({ConfigTemplate("default")})

MAX_SHORT_BYTES: Final = 128
MAX_LONG_BYTES: Final = 512

_FIELDS: Final = (
    "namespace",
    "name",
    "config_template",
    "hotkey",
    "hash",
    "competition_id",
    "revision",
    "weights_digest",
)
_SHORT_FIELDS: Final = 6
_REVISION: Final = re.compile(r"[0-9a-f]{40}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FORM: Final = "namespace:name:config_template:hotkey:hash:competition_id[:revision:weights_digest]"


class InvalidReferenceError(SubnetError):
    """A reference, or a field of one, is not what it must be. ``field`` names the culprit."""

    code: ClassVar[str] = "REFERENCE_INVALID"

    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A checked reference. ``revision`` and ``weights_digest`` come together or not at all."""

    namespace: str
    name: str
    config_template: ConfigTemplate
    hotkey: Hotkey
    submission_hash: SubmissionHash
    competition_id: CompetitionId
    revision: Revision | None = None
    weights_digest: WeightsDigest | None = None

    @property
    def repo_id(self) -> str:
        """The repository as the hub names it."""
        return f"{self.namespace}/{self.name}"


def submission_hash(namespace: str, name: str, config_template: str, hotkey: str) -> SubmissionHash:
    """The check value over the names: an unsigned 64-bit number, in decimal.

    It says nothing about the model's content and is no key: collisions can be made.
    """
    text = f"{namespace} {name} {config_template} {hotkey}"
    return SubmissionHash(str(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)))


def make_reference(
    *,
    namespace: str,
    name: str,
    config_template: str,
    hotkey: str,
    competition_id: str,
    revision: str | None = None,
    weights_digest: str | None = None,
) -> ModelReference:
    """A reference with its hash computed. Raises InvalidReferenceError."""
    fields = [namespace, name, config_template, hotkey]
    fields += [submission_hash(namespace, name, config_template, hotkey), competition_id]
    if revision is not None or weights_digest is not None:
        fields += [revision or "", weights_digest or ""]
    reference = _checked(fields)
    format_reference(reference)
    return reference


def format_reference(reference: ModelReference) -> str:
    """The string to commit. Raises InvalidReferenceError when it is too long for the chain."""
    fields = [reference.namespace, reference.name, reference.config_template, reference.hotkey]
    fields += [reference.submission_hash, reference.competition_id]
    if reference.revision is not None and reference.weights_digest is not None:
        fields += [reference.revision, reference.weights_digest]
    text = ":".join(fields)
    _check_length(text, fields)
    return text


def parse_reference(text: str, *, committed_by: str) -> ModelReference:
    """Parse what ``committed_by``, a hotkey, committed. Raises InvalidReferenceError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_LONG_BYTES:
        raise InvalidReferenceError(
            "length", f"the reference is longer than {MAX_LONG_BYTES} bytes", f"Write {_FORM}."
        )
    fields = text.split(":")
    if len(fields) not in {_SHORT_FIELDS, len(_FIELDS)}:
        raise InvalidReferenceError(
            "fields",
            f"the reference has {len(fields)} fields instead of 6 or 8: {text!r:.200}",
            f"Write {_FORM}.",
        )
    reference = _checked(fields)
    _check_length(text, fields)
    if reference.hotkey != committed_by:
        raise InvalidReferenceError(
            "hotkey",
            f"the reference names hotkey {reference.hotkey} but {committed_by} committed it",
            "Commit with the hotkey that the reference names.",
        )
    expected = submission_hash(*fields[:4])
    if reference.submission_hash != expected:
        raise InvalidReferenceError(
            "hash",
            f"the hash is {reference.submission_hash}, but these names give {expected}",
            "Compute it over 'namespace name config_template hotkey'.",
        )
    return reference


def check_repository_name(namespace: str, name: str) -> None:
    """Raises InvalidReferenceError unless the hub could have such a repository."""
    for field, value in (("namespace", namespace), ("name", name)):
        if "/" in value or ":" in value:
            raise InvalidReferenceError(
                field, f"{field} {value!r:.200} holds / or :", "Give the two parts of its name."
            )
    try:
        validate_repo_id(f"{namespace}/{name}")
    except HFValidationError as error:
        raise InvalidReferenceError(
            "name", f"{namespace}/{name} cannot name a repository: {error}"[:500], "Rename it."
        ) from error


def check_hotkey(hotkey: str) -> Hotkey:
    """The hotkey, its checksum verified. Raises InvalidReferenceError."""
    if not is_ss58(hotkey):
        raise InvalidReferenceError(
            "hotkey",
            f"{hotkey!r:.100} is not a hotkey: the address or its checksum is wrong",
            "Give the ss58 address, 48 characters, as the wallet shows it.",
        )
    return Hotkey(hotkey)


def check_config_template(config_template: str) -> ConfigTemplate:
    """A known template. Raises InvalidReferenceError."""
    if config_template not in CONFIG_TEMPLATES:
        known = ", ".join(sorted(CONFIG_TEMPLATES))
        raise InvalidReferenceError(
            "config_template",
            f"config_template {config_template!r:.100} is unknown",
            f"Use one of: {known}.",
        )
    return ConfigTemplate(config_template)


def check_competition(competition_id: str) -> CompetitionId:
    """The competition of that name. Raises InvalidReferenceError."""
    if competition_id not in COMPETITIONS:
        known = ", ".join(sorted(set(COMPETITIONS.values())))
        raise InvalidReferenceError(
            "competition_id",
            f"competition {competition_id!r:.100} is unknown",
            f"Use one of: {known}.",
        )
    return COMPETITIONS[competition_id]


def check_revision(revision: str) -> Revision:
    """A pinned revision. Raises InvalidReferenceError."""
    if not _REVISION.fullmatch(revision):
        raise InvalidReferenceError(
            "revision",
            f"revision {revision!r:.100} is not the full id of a commit",
            "Give its 40 hexadecimal digits, in lower case; no branch, no tag.",
        )
    return Revision(revision)


def check_weights_digest(digest: str) -> WeightsDigest:
    """A sha256 in hexadecimal. Raises InvalidReferenceError."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidReferenceError(
            "weights_digest",
            f"weights digest {digest!r:.100} is not a sha256",
            "Give its 64 hexadecimal digits, in lower case.",
        )
    return WeightsDigest(digest)


def _checked(fields: Sequence[str]) -> ModelReference:
    for field, value in zip(_FIELDS, fields, strict=False):
        if not value:
            raise InvalidReferenceError(field, f"{field} is empty", f"Write {_FORM}.")
    namespace, name, config_template, hotkey, hash_text, competition_id, *pinned = fields
    check_repository_name(namespace, name)
    return ModelReference(
        namespace=namespace,
        name=name,
        config_template=check_config_template(config_template),
        hotkey=check_hotkey(hotkey),
        submission_hash=SubmissionHash(hash_text),
        competition_id=check_competition(competition_id),
        revision=check_revision(pinned[0]) if pinned else None,
        weights_digest=check_weights_digest(pinned[1]) if pinned else None,
    )


def _check_length(text: str, fields: Sequence[str]) -> None:
    limit = MAX_SHORT_BYTES if len(fields) == _SHORT_FIELDS else MAX_LONG_BYTES
    size = len(text.encode())
    if size > limit:
        raise InvalidReferenceError(
            "length",
            f"the reference is {size} bytes long, more than the {limit} that the chain takes",
            "Use a shorter repository name, or the long form.",
        )
