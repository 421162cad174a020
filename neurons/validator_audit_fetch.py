"""What the API published behind a submission's signed result: samples, and some of its clips."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from neurons.service_api import ServiceApi, ServiceError, ServiceUnavailableError
from scoring.audit.records import PublishedSample
from scoring.competition.records import MAX_ROUND_PROMPTS
from utilities.errors import SubnetError

MAX_CLIP_BYTES: Final = 32 * 2**20
"""A minute of stereo at 48 kHz, as 32-bit samples, and then some."""
MAX_PROTOCOL_BYTES: Final = 65_536
CLIPS_SECONDS: Final = 600.0
"""For all clips of a submission: the next weights must not wait for them."""
PAUSES: Final = (1.0, 5.0, 20.0)
"""Seconds before each further try of what may succeed later, such as too many requests."""

log = logging.getLogger(__name__)

_PROTOCOL: Final = TypeAdapter(dict[str, JsonValue])

_Answer = TypeVar("_Answer")


class AuditWithheldError(SubnetError):
    """The API answers, but does not show what it has scored."""

    code: ClassVar[str] = "AUDIT_WITHHELD"


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)

    prompts_digest: str | None
    samples: tuple[PublishedSample, ...] = Field(max_length=MAX_ROUND_PROMPTS)


class Published:
    """What one API publishes about submissions of rounds.

    ``samples`` and ``clips`` raise AuditWithheldError when the API answers otherwise, and
    ServiceError when it does not answer at all.
    """

    def __init__(
        self,
        api: ServiceApi,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._pause = pause
        self._clock = clock
        self._protocol: tuple[str, dict[str, JsonValue]] | None = None

    def protocol(self, digest: str) -> dict[str, JsonValue] | None:
        """What the protocol with that digest consists of; None: the API does not say.

        It only explains, so that nothing is withheld without it.
        """
        if self._protocol is not None and self._protocol[0] == digest:
            return self._protocol[1]
        path = f"/protocols/{digest}"
        try:
            record = self._api.read(path, max_bytes=MAX_PROTOCOL_BYTES)
            if hashlib.sha256(record).hexdigest() != digest:
                log.warning("GET %s answers a record with another digest: not used", path)
                return None
            protocol = _PROTOCOL.validate_json(record)
        except (ServiceError, ValidationError) as error:
            log.warning("the API does not say what protocol %s is: %s", digest, error)
            return None
        self._protocol = (digest, protocol)
        return protocol

    def samples(self, submission_id: int, prompts_digest: str) -> tuple[PublishedSample, ...]:
        """What became of each of the prompts with that digest."""
        path = f"/submissions/{submission_id}"
        shown = self._shown(
            lambda: self._api.get(
                path, _Shown, prompts_digest=prompts_digest, limit=MAX_ROUND_PROMPTS
            )
        )
        if shown.prompts_digest != prompts_digest or not shown.samples:
            raise _withheld(f"GET {path} shows no samples on the prompts {prompts_digest}")
        return shown.samples

    def clips(
        self, submission_id: int, prompts: Sequence[int], prompts_digest: str, into: Path
    ) -> dict[int, Path]:
        """The clips of these prompts, as files in the directory ``into``. Raises OSError, too."""
        into.mkdir(parents=True)
        clips = {prompt: into / f"{prompt:05d}.wav" for prompt in prompts}
        deadline = self._clock() + CLIPS_SECONDS
        for prompt, file in clips.items():
            if self._clock() > deadline:
                # An API that trickles, or a slow line: who knows?
                raise ServiceUnavailableError(
                    f"{len(clips)} clips of submission {submission_id} take longer than "
                    f"{CLIPS_SECONDS:.0f} s",
                    "Look at the network, or audit fewer prompts (--audit_prompts).",
                )
            ask = partial(self._clip, submission_id, prompt, prompts_digest)
            file.write_bytes(self._shown(ask))
        return clips

    def _clip(self, submission_id: int, prompt: int, prompts_digest: str) -> bytes:
        return self._api.read(
            f"/submissions/{submission_id}/audio/{prompt}",
            max_bytes=MAX_CLIP_BYTES,
            prompts_digest=prompts_digest,
        )

    def _shown(self, ask: Callable[[], _Answer], pauses: Sequence[float] = PAUSES) -> _Answer:
        try:
            return ask()
        except ServiceError as error:
            if not (error.transient and pauses):
                # Raises where the API answers nothing at all: then nothing is withheld.
                self._api.read("/hc", max_bytes=MAX_CLIP_BYTES)
                raise _withheld(error.message) from error
        self._pause(pauses[0])
        return self._shown(ask, pauses[1:])


def _withheld(message: str) -> AuditWithheldError:
    return AuditWithheldError(
        message, "Ask the API's operator why what was scored cannot be heard."
    )
