"""Reads what an evaluator left behind, as a stranger's: bounded, strict, and checked for sense.

The evaluator is ours, but it ran a stranger's model. Whatever is wrong with its answer is an error
of ours (``ServiceCode.RESULT_INVALID``): no model can be blamed for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import BaseModel, JsonValue, ValidationError

from scoring.contract import ListedPrompts, Sample, SeededPrompts, TtsRequest, TtsResult

RESULT_NAME: Final = "result.json"
MANIFEST_NAME: Final = "manifest.json"
MAX_RESULT_BYTES: Final = 64 << 20
MAX_AUDIO_BYTES: Final = 32 << 20
"""One clip: a minute of 48 kHz stereo in 32-bit samples is 23 MB."""
MAX_PROTOCOL_CHARS: Final = 65_536
"""As many as the database keeps; a protocol has about 1,500."""
MAX_TABLE_ENTRIES: Final = 64
MAX_NAME_CHARS: Final = 1_024
MAX_NOTES: Final = 1_000
AUDIO_SUFFIX: Final = ".wav"


class _Manifest(BaseModel):
    protocol: dict[str, JsonValue]


class InvalidResultError(Exception):
    """What the evaluator left does not hold what the contract says; the message says where."""


class MissingResultError(Exception):
    """The evaluator left no result."""


def read_result(out: Path, request: TtsRequest) -> TtsResult:
    """The result in ``out``, parsed and checked against what was asked for.

    Raises MissingResultError and InvalidResultError.
    """
    content = _read(out / RESULT_NAME, MAX_RESULT_BYTES)
    try:
        result = TtsResult.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200] or "the whole"
        raise InvalidResultError(f"{RESULT_NAME}: {where}: {first['msg']}"[:500]) from error
    _check_bounds(result)
    if result.status == "FAILED":
        _require(result.failure is not None, "FAILED without a failure")
    else:
        _check_completed(result, request)
        clips_of(out, result)
    return result


def read_protocol(out: Path, digest: str | None) -> str | None:
    """What the protocol with ``digest`` consists of, as canonical JSON; None: no manifest is there.

    Raises InvalidResultError where the manifest holds another protocol.
    """
    try:
        content = _read(out / MANIFEST_NAME, MAX_RESULT_BYTES)
        protocol = _Manifest.model_validate_json(content).protocol
    except MissingResultError:
        return None
    except ValidationError as error:
        raise InvalidResultError(f"{MANIFEST_NAME}: {error.errors()[0]['msg']}"[:500]) from error
    # As ``scoring.manifest.Protocol.digest`` is made; ``scoring.manifest`` needs torch.
    record = json.dumps(protocol, sort_keys=True, separators=(",", ":"))
    _require(len(record) <= MAX_PROTOCOL_CHARS, "the protocol is too long")
    _require(
        hashlib.sha256(record.encode()).hexdigest() == digest,
        f"{MANIFEST_NAME} holds another protocol than {RESULT_NAME} names",
    )
    return record


def clips_of(out: Path, result: TtsResult) -> dict[str, Path]:
    """The clips of ``result`` by the names that it gives them.

    Raises InvalidResultError when one is not an ordinary file of bounded size below ``out``.
    """
    digests = [(s.audio, s.audio_digest) for s in result.samples if s.audio is not None]
    _require(len(dict(digests)) == len(digests), "two samples share one clip")
    return {name: _clip(out, name, digest) for name, digest in digests}


def _clip(out: Path, name: str, digest: str | None) -> Path:
    relative = PurePosixPath(name)
    _require(
        not relative.is_absolute() and ".." not in relative.parts and "\0" not in name,
        f"audio {name!r} is not below the output directory",
    )
    _require(relative.suffix == AUDIO_SUFFIX, f"audio {name!r} is no WAV file")
    path = out
    for part in relative.parts:
        _require(not path.is_symlink(), f"audio {name!r} leads through a symbolic link")
        path = path / part
    try:
        facts = path.lstat()
    except OSError as error:
        raise InvalidResultError(f"audio {name!r} is not there: {error.strerror}") from error
    _require(stat.S_ISREG(facts.st_mode), f"audio {name!r} is no ordinary file")
    _require(facts.st_size <= MAX_AUDIO_BYTES, f"audio {name!r} has {facts.st_size} bytes")
    if digest is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        _require(found == digest, f"audio {name!r} does not have its digest")
    return path


def _read(path: Path, limit: int) -> bytes:
    _require(not path.parent.is_symlink(), "the output directory was replaced")
    try:
        # Not through a symbolic link, and not waiting for the writer of a named pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise MissingResultError(f"the evaluator left no {path.name}") from error
    except OSError as error:
        raise InvalidResultError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        _require(stat.S_ISREG(os.fstat(fd).st_mode), f"{path.name} is no ordinary file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(fd)
    _require(len(content) <= limit, f"{path.name} exceeds {limit} bytes")
    return content


def _check_bounds(result: TtsResult) -> None:
    """What the contract leaves open, and a database should not be asked to hold."""
    tables = [result.timings, *(sample.components for sample in result.samples)]
    notes = list(result.warnings)
    if result.aggregate is not None:
        tables.append(result.aggregate.components)
    if result.synthesiser is not None:
        notes += [*result.synthesiser.own_assets, *result.synthesiser.ignored]
        notes.append(result.synthesiser.name)
    if result.asr is not None:
        notes += [result.asr.engine, result.asr.model, result.asr.version]
    for table in tables:
        _require(len(table) <= MAX_TABLE_ENTRIES, "a table has too many entries")
        _require(all(len(name) <= MAX_NAME_CHARS for name in table), "a name is too long")
    _require(len(notes) <= MAX_NOTES, "there are too many warnings or assets")
    _require(all(len(note) <= MAX_NAME_CHARS for note in notes), "a text is too long")


def _check_completed(result: TtsResult, request: TtsRequest) -> None:
    _require(result.failure is None, "COMPLETED with a failure")
    aggregate = result.aggregate
    if aggregate is None or result.asr is None:
        raise InvalidResultError("COMPLETED without aggregate or asr")
    digests = (result.prompts_digest, result.protocol_digest)
    _require(None not in digests, "COMPLETED without the digests of prompts and protocol")
    _require(result.synthesiser is not None, "COMPLETED without a synthesiser")
    _check_prompts(result.samples, request)
    scored = [sample for sample in result.samples if sample.outcome == "scored"]
    for sample in scored:
        measured = (sample.errors, sample.wer, sample.human_likeness, sample.score)
        _require(None not in measured, f"sample {sample.prompt.index} is scored without a score")
    _require(
        (aggregate.scored, aggregate.unscored) == (len(scored), len(result.samples) - len(scored)),
        "the aggregate counts other samples than there are",
    )
    low, high = aggregate.interval.low, aggregate.interval.high
    _require(low <= aggregate.score <= high, "the score lies outside its interval")
    counted = [sample.errors for sample in result.samples if sample.errors is not None]
    edits, words = sum(e.edits for e in counted), sum(e.words for e in counted)
    _require(
        math.isclose(aggregate.wer, edits / max(words, 1), rel_tol=1e-6, abs_tol=1e-9),
        "the word error rate is not that of the samples",
    )


def _check_prompts(samples: tuple[Sample, ...], request: TtsRequest) -> None:
    answered = [sample.prompt for sample in samples]
    if isinstance(request.prompts, ListedPrompts):
        _require(answered == list(request.prompts.prompts), "the prompts are not those asked for")
    else:
        assert isinstance(request.prompts, SeededPrompts)
        # The stream itself is the evaluator's to know; its digest is part of the protocol.
        indices = [prompt.index for prompt in answered]
        _require(
            indices == list(range(request.prompts.count)), "the prompts are not those asked for"
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InvalidResultError(message)
