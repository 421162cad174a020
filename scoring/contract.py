"""Request and result records exchanged with the evaluator.

The service writes a request, an isolated evaluator answers with a result; neither trusts the
other's process, so both sides parse with these records and nothing else. Only pydantic is
imported here: validators and the service read results without any speech package.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_PROMPTS = 10_000
MAX_TEXT_CHARS = 2_000

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Record(BaseModel):
    """Immutable, strict about unknown fields, and never NaN or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FailureCode(IntEnum):
    """Why an evaluation produced no score. The hundreds say whose fault it is.

    1xx: the request was wrong (whoever wrote it); 2xx: the submission (its miner);
    3xx: the evaluator or its machine (us).
    """

    BAD_REQUEST = 100
    WEIGHTS_MISSING = 200
    WEIGHTS_UNREADABLE = 201
    WEIGHTS_NOT_SAFETENSORS = 202
    CONFIG_INVALID = 203
    CONFIG_TOO_LARGE = 204
    TENSOR_MISMATCH = 205
    TENSOR_NOT_FINITE = 206
    TOKENIZER_INVALID = 207
    CODEC_INVALID = 208
    NUMERIC_FAILURE = 209
    TOO_MANY_FAILED_PROMPTS = 210
    EVALUATOR_ERROR = 300
    ASSET_MISSING = 301
    DISK_FULL = 302
    OUT_OF_MEMORY = 303
    DEVICE_UNAVAILABLE = 304

    @property
    def fault(self) -> Literal["request", "submission", "evaluator"]:
        """Whose fault a failure with this code is."""
        if self < 200:
            return "request"
        return "submission" if self < 300 else "evaluator"


class Failure(Record):
    """A typed failure: what was wrong and what to do about it."""

    code: FailureCode
    message: str = Field(max_length=4_000)
    remedy: str = Field(default="", max_length=2_000)


class Prompt(Record):
    """One line to speak and how to speak it."""

    index: int = Field(ge=0)
    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)
    description: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)
    emotion: str = Field(default="neutral", max_length=64)
    speaker: str = Field(default="", max_length=64)


class ListedPrompts(Record):
    """Prompts given outright."""

    kind: Literal["listed"] = "listed"
    prompts: tuple[Prompt, ...] = Field(min_length=1, max_length=MAX_PROMPTS)


class SeededPrompts(Record):
    """The first ``count`` prompts of the deterministic stream that ``seed`` names."""

    kind: Literal["seeded"] = "seeded"
    seed: str = Field(min_length=1, max_length=256)
    count: int = Field(ge=1, le=MAX_PROMPTS)


class ParlerModel(Record):
    """A Parler-TTS checkpoint directory.

    ``base_dir`` names the base model's directory, from which the evaluator takes tokenizers,
    codec and generation settings in place of the checkpoint's own. Without it the checkpoint
    brings its own, as miniatures must, and the result says so.
    """

    kind: Literal["parler"] = "parler"
    model_dir: Path
    base_dir: Path | None = None
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{40}$",
        description="The commit that model_dir holds; carried into the manifest, not checked.",
    )


class ReferenceVoice(Record):
    """A packaged synthesiser that calibrates the scale: good, noisy, or saying the wrong text."""

    kind: Literal["voice"] = "voice"
    name: Literal["hibari", "hibari-noise", "hibari-wrong-text"]


class AsrSpec(Record):
    """Which recogniser transcribes.

    ``model`` is ``packaged`` (the tiny.en inside a Python package, for rehearsal), a Whisper
    size such as ``large-v3-turbo``, or a directory.
    """

    engine: Literal["faster-whisper", "openai-whisper"] = "faster-whisper"
    model: str = Field(default="packaged", min_length=1, max_length=1_024)


class CtcSpec(Record):
    """A second recogniser that shares nothing with Whisper: an encoder with a CTC output.

    ``model`` is a directory with a transformers checkpoint (wav2vec 2.0, HuBERT) in safetensors.
    """

    engine: Literal["ctc"] = "ctc"
    model: str = Field(min_length=1, max_length=1_024)


class LearnedMosSpec(Record):
    """A learned opinion predictor: a directory as ``scoring/metrics/learned_mos.py`` describes."""

    model: str = Field(min_length=1, max_length=1_024)


class TtsRequest(Record):
    """One evaluation to carry out."""

    synthesiser: Annotated[ParlerModel | ReferenceVoice, Field(discriminator="kind")]
    prompts: Annotated[ListedPrompts | SeededPrompts, Field(discriminator="kind")]
    asr: AsrSpec = AsrSpec()
    second_asr: CtcSpec | None = Field(
        default=None, description="Listens too; of the two, the one that hears worse counts."
    )
    learned_mos: LearnedMosSpec | None = Field(
        default=None, description="Shares the weight of naturalness with DNSMOS."
    )
    recordings: Path | None = Field(
        default=None,
        description="Human recordings with texts, whose likelihood under a checkpoint is reported.",
    )
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seeds sampling and the bootstrap.")
    max_seconds: float = Field(default=30.0, gt=0.0, le=60.0, description="Audio cap per prompt.")


class WordErrors(Record):
    """Edits that turn the reference words into the transcript, counted after normalisation."""

    substitutions: int = Field(ge=0)
    deletions: int = Field(ge=0)
    insertions: int = Field(ge=0)
    words: int = Field(ge=0, description="Words in the reference.")

    @property
    def edits(self) -> int:
        """All edits together."""
        return self.substitutions + self.deletions + self.insertions


class Sample(Record):
    """What became of one prompt. ``unscored`` is a value of its own: it is not zero."""

    prompt: Prompt
    outcome: Literal["scored", "unscored"]
    reason: str | None = Field(default=None, max_length=1_000)
    audio: str | None = Field(default=None, max_length=255, description="File below the output.")
    audio_digest: Hex64 | None = Field(default=None, description="sha256 of that file.")
    seconds: float | None = Field(default=None, ge=0)
    truncated: bool = False
    transcript: str | None = Field(default=None, max_length=10_000)
    second_transcript: str | None = Field(
        default=None, max_length=10_000, description="What the second recogniser heard."
    )
    errors: WordErrors | None = Field(
        default=None, description="Of the transcript with more errors, where there are two."
    )
    wer: float | None = Field(default=None, ge=0, description="Raw; may exceed 1.")
    human_likeness: Unit | None = None
    score: Unit | None = None
    components: dict[str, float] = Field(default_factory=dict)


class Interval(Record):
    """A 95 % bootstrap interval over prompts."""

    low: Unit
    high: Unit


class WerInterval(Record):
    """A 95 % bootstrap interval of a raw word error rate, which may exceed 1."""

    low: float = Field(ge=0.0)
    high: float = Field(ge=0.0)


class Aggregate(Record):
    """The evaluation in a few numbers."""

    score: Unit
    interval: Interval
    wer: float = Field(ge=0, description="Corpus WER: edits over words. Raw; may exceed 1.")
    wer_interval: WerInterval | None = None
    human_likeness: Unit
    components: dict[str, float] = Field(default_factory=dict)
    scored: int = Field(ge=0)
    unscored: int = Field(ge=0)


class AsrInfo(Record):
    """Which recogniser was used, down to its bytes."""

    engine: str = Field(max_length=64)
    model: str = Field(max_length=1_024)
    version: str = Field(max_length=256)
    digest: Hex64
    rehearsal: bool = Field(description="True for models too weak for a real ranking.")


class LearnedMosInfo(Record):
    """Which learned opinion predictor joined, down to its bytes."""

    name: str = Field(max_length=64)
    digest: Hex64


SKETCH_VALUES = 2_016


class Sketch(Record):
    """How a model differs from the base model, in ``SKETCH_VALUES`` numbers.

    They are the signed bytes of ``levels`` times ``scale``. The inner product of two sketches is
    about that of the differences; those of another version or base model cannot be compared.
    """

    version: int = Field(ge=1, lt=2**31)
    base_digest: Hex64 = Field(description="Weights digest of the base model.")
    noise: tuple[Annotated[float, Field(ge=0.0, le=1e30)], ...] = Field(
        min_length=1,
        max_length=7,
        description="Length of what noise of 1 % of the base's weights does to each of as many "
        "equal parts of the numbers.",
    )
    scale: float = Field(ge=0.0, le=1e30)
    levels: str = Field(
        pattern=r"^[A-Za-z0-9+/]{2688}$", description="base64 of as many signed bytes."
    )


class SynthesiserInfo(Record):
    """What spoke."""

    kind: Literal["parler", "voice"]
    name: str
    weights_digest: Hex64 | None = None
    own_assets: tuple[str, ...] = Field(
        default=(), description="Parts the submission brought itself: tokenizers, codec, settings."
    )
    ignored: tuple[str, ...] = Field(
        default=(), description="Parts of the submission that the evaluator's own replaced."
    )
    sketch: Sketch | None = Field(
        default=None, description="Of the weights; None without a base model to hold them against."
    )
    behaviour: Sketch | None = Field(
        default=None, description="Of what the whole model answers to fixed inputs."
    )


class Likelihood(Record):
    """How likely a checkpoint finds recordings of people. It is reported and never ranks."""

    bits_per_token: float = Field(ge=0)
    base_bits_per_token: float | None = Field(default=None, ge=0)
    recordings: int = Field(ge=1)
    tokens: int = Field(ge=1)
    recordings_digest: Hex64 = Field(description="Of the recordings as the codec hears them.")


class TtsResult(Record):
    """What ``python -m scoring.entrypoint tts`` writes to ``result.json``."""

    contract: Literal[1] = 1
    competition_id: Literal["tts"] = "tts"
    status: Literal["COMPLETED", "FAILED"]
    failure: Failure | None = None
    synthesiser: SynthesiserInfo | None = None
    asr: AsrInfo | None = None
    second_asr: AsrInfo | None = None
    learned_mos: LearnedMosInfo | None = None
    human_floor: Unit = Field(
        default=0.0, description="WER of people; the score counts only the errors beyond it."
    )
    prompts_digest: Hex64 | None = None
    protocol_digest: Hex64 | None = Field(
        default=None, description="Names all that a score depends on besides the model."
    )
    aggregate: Aggregate | None = None
    likelihood: Likelihood | None = None
    samples: tuple[Sample, ...] = Field(default=(), max_length=MAX_PROMPTS)
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = Field(
        default_factory=dict, description="Busy seconds per stage; stages overlap."
    )
