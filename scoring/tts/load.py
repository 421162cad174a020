"""From a request to something that speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from scoring.audio import Audio
from scoring.contract import ParlerModel, Prompt, SynthesiserInfo, TtsRequest
from scoring.sketch.answers import Answers, answers_of
from scoring.sketch.difference import (
    BaseAnswers,
    base_answers,
    sketch_of_behaviour,
    sketch_of_weights,
)
from scoring.tts.parler.engine import ParlerEngine, SpeakRequest
from scoring.tts.parler.load import Place, load_model
from scoring.tts.parler.memory import memory_errors
from scoring.tts.seeds import prompt_seed
from scoring.tts.synthesiser import Synthesiser, Utterance


def load_synthesiser(request: TtsRequest) -> Synthesiser:
    """Load what the request names. Raises ScoringError where that cannot be."""
    if isinstance(request.synthesiser, ParlerModel):
        return ParlerSynthesiser.load(request, request.synthesiser)
    from scoring.tts.voices import load_voice  # noqa: PLC0415 - a checkpoint needs no voice

    return load_voice(request.synthesiser.name)


def ask_base(request: TtsRequest) -> BaseAnswers | None:
    """What the base model answers to the questions of sketches, where the request has one.

    To be called before the model is loaded: a device may have no room for two. Raises
    ScoringError.
    """
    model = request.synthesiser
    if not isinstance(model, ParlerModel) or model.base_dir is None:
        return None
    with memory_errors():
        return base_answers(model.base_dir, Place.on(request.device, precision="float32"))


def sketched(synthesiser: Synthesiser, base: BaseAnswers | None) -> Synthesiser:
    """``synthesiser`` with its sketches among what is told of it. Raises ScoringError."""
    if base is None or not isinstance(synthesiser, ParlerSynthesiser):
        return synthesiser
    own = synthesiser.answers
    if own is None:
        return synthesiser
    sketches = {
        "sketch": sketch_of_weights(own, base),
        "behaviour": sketch_of_behaviour(own, base),
    }
    return replace(synthesiser, info=synthesiser.info.model_copy(update=sketches))


@dataclass(frozen=True)
class ParlerSynthesiser:
    """A Parler-TTS checkpoint that speaks with the seeds and the cap of its evaluation.

    ``answers`` are its own to the questions of sketches, if it was asked and could answer.
    """

    engine: ParlerEngine
    info: SynthesiserInfo
    answers: Answers | None
    seed: int
    max_seconds: float

    @classmethod
    def load(cls, request: TtsRequest, model: ParlerModel) -> ParlerSynthesiser:
        """Load and check the checkpoint. Raises ScoringError."""
        place = Place.on(request.device)
        with memory_errors():
            loaded = load_model(model.model_dir, place=place, base_dir=model.base_dir)
            # Asked in float32, before the engine lowers it to what it speaks in.
            answers = None if model.base_dir is None else answers_of(loaded)
            engine = ParlerEngine(loaded, place)
        info = SynthesiserInfo(
            kind="parler",
            name=model.model_dir.name,
            weights_digest=loaded.weights_digest,
            own_assets=loaded.own_assets,
            ignored=loaded.ignored,
        )
        return cls(engine, info, answers, request.seed, request.max_seconds)

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        """Yield one utterance for each prompt as the engine finishes it."""
        requests = [
            SpeakRequest(
                text=prompt.text,
                description=prompt.description,
                seed=prompt_seed(self.seed, prompt),
                max_seconds=self.max_seconds,
            )
            for prompt in prompts
        ]
        for spoken in self.engine.speak(requests):
            audio = None if spoken.audio is None else Audio(spoken.audio, spoken.sample_rate)
            yield Utterance(spoken.index, audio, spoken.truncated, spoken.failure)
