"""Rounds as chain and service would run them, with made-up scores and the real rules."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from scoring.competition import (
    Candidate,
    ChainEvidence,
    NearCopy,
    Participant,
    PreviousRound,
    Repository,
    RoundResult,
    RoundSnapshot,
    Rules,
    Standing,
    Weights,
    next_round_entrants,
    weights,
)
from scoring.competition.rounds import RoundTimes, round_seed, round_times
from scoring.contract import Interval

FIRST = 10
PROMPTS = 50
NOISE = 0.035
"""Standard deviation of what a model scores on one prompt, beside its quality."""
CERTAIN = 0.03
"""By what a model must be better to win for certain, with so many prompts and such noise."""
SCORING_BLOCKS = 1_000
"""From a round's start to its close."""


@dataclass(frozen=True)
class Model:
    """``identity`` names the weights; ``near`` the weights that a sketch finds them close to."""

    identity: str
    quality: float
    voice: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commit:
    """What a miner does in a round. An unpublished model can never be scored."""

    hotkey: str
    coldkey: str
    model: Model
    published: bool = True


@dataclass(frozen=True)
class Talent:
    """A miner's abilities: the quality of each model that it finishes, by round."""

    name: str
    releases: dict[int, float]

    def latest(self, number: int) -> Model:
        """The best that it has in round ``number``."""
        finished = max(n for n in self.releases if n <= number)
        name = f"{self.name}:{finished}"
        return Model(name, self.releases[finished], voice=name)


@dataclass(frozen=True)
class Submission:
    """A commit on chain."""

    number: int
    block: int
    commit: Commit


@dataclass(frozen=True)
class View:
    """What everybody can see: the models of the newest round, best first, and whose they are."""

    leaders: Sequence[Submission] = ()


Strategy = Callable[[Talent, int, View], list[Commit]]


@dataclass
class Market:
    """Miners who play for ``rounds`` rounds. Two markets of one seed differ by strategies alone."""

    seed: int
    players: dict[str, tuple[Talent, Strategy]]
    rules: Rules
    submissions: dict[int, Submission] = field(default_factory=dict)
    snapshots: list[RoundSnapshot] = field(default_factory=list)
    decided: Weights | None = None

    def play(self, rounds: int) -> list[dict[str, float]]:
        """The share of each player in every round, all its hotkeys together."""
        return [self._round(number) for number in range(FIRST, FIRST + rounds)]

    def _round(self, number: int) -> dict[str, float]:
        times = round_times(number, self.rules)
        self._commit(times)
        scored = self._entrants(times)
        snapshot = self._snapshot(times, scored)
        self.snapshots = [*self.snapshots, snapshot][-self.rules.window :]
        self.decided = weights(
            self.snapshots,
            chain=self._chain(),
            rules=self.rules,
            block=snapshot.closed_block + self.rules.round_length // 2,
        )
        earned = dict.fromkeys(self.players, 0.0)
        for share in self.decided.shares:
            earned[_owner(share.hotkey)] += share.weight
        return earned

    def _commit(self, times: RoundTimes) -> None:
        view = self._view()
        before = times.start_block - self.rules.round_length // 2
        for name, (talent, strategy) in self.players.items():
            delay = random.Random(f"{self.seed}:{name}:{times.number}").randrange(1_000)
            commits = strategy(talent, times.number - FIRST, view)
            for index, commit in enumerate(commits):
                number = len(self.submissions)
                self.submissions[number] = Submission(number, before + delay + index, commit)

    def _view(self) -> View:
        if self.decided is None:
            return View()
        competing = [e for e in self.decided.explanations if e.verdict == "competes"]
        ranked = sorted(competing, key=lambda e: (len(e.lost_to), e.submission_id))
        return View([self.submissions[e.submission_id] for e in ranked])

    def _entrants(self, times: RoundTimes) -> list[Submission]:
        fresh = times.start_block - self.rules.round_length
        candidates = [
            Candidate(
                submission_id=s.number,
                hotkey=s.commit.hotkey,
                commit_block=s.block,
                pinned_block=s.block + 5,
            )
            for s in self.submissions.values()
            if s.commit.published and s.block >= fresh
        ]
        entrants = next_round_entrants(
            self.decided, candidates, chain=self._chain(), rules=self.rules, times=times
        )
        return [self.submissions[number] for number in (*entrants.best, *entrants.new)]

    def _snapshot(self, times: RoundTimes, scored: Sequence[Submission]) -> RoundSnapshot:
        block_hash = _hash(f"{self.seed}:{times.seed_block}")
        seed = round_seed("tts", times.number, f"0x{block_hash}")
        last = self.snapshots[-1] if self.snapshots else None
        return RoundSnapshot(
            competition_id="tts",
            number=times.number,
            start_block=times.start_block,
            seed_block=times.seed_block,
            seed_block_hash=f"0x{block_hash}",
            seed=seed,
            closed_block=times.start_block + SCORING_BLOCKS,
            protocol_digest="0" * 64,
            prompts_digest="0" * 64,
            previous=PreviousRound(number=last.number, digest=last.digest) if last else None,
            standings=tuple(self._standing(submission, seed) for submission in scored),
        )

    def _standing(self, submission: Submission, seed: str) -> Standing:
        commit, model = submission.commit, submission.commit.model
        later = [
            other.block
            for other in self.submissions.values()
            if other.commit.hotkey == commit.hotkey and other.number > submission.number
        ]
        return Standing(
            submission_id=submission.number,
            hotkey=commit.hotkey,
            coldkey=commit.coldkey,
            repository=Repository(namespace="lab", name="voice", revision="0" * 40),
            evidence=ChainEvidence(
                block=submission.block,
                block_hash=f"0x{_hash(str(submission.block))}",
                commitment=str(submission.number),
            ),
            pinned_block=submission.block + 5,
            committed_digest=_hash(model.identity),
            weights_digest=_hash(model.identity),
            superseded_block=min(later, default=None),
            near_copies=tuple(self._near_copies(submission)),
            result=_result(model, seed),
        )

    def _near_copies(self, submission: Submission) -> list[NearCopy]:
        """The first submission of each model that this one's is close to."""
        first: dict[str, Submission] = {}
        for other in self.submissions.values():
            if (
                other.commit.published
                and other.commit.model.identity in submission.commit.model.near
            ):
                first.setdefault(other.commit.model.identity, other)
        return [
            NearCopy(
                submission_id=other.number,
                hotkey=other.commit.hotkey,
                coldkey=other.commit.coldkey,
                priority_block=other.block,
                pinned_block=other.block + 5,
                evidence="sketch",
            )
            for other in first.values()
        ][-8:]

    def _chain(self) -> list[Participant]:
        newest = {s.commit.hotkey: s for s in self.submissions.values()}
        return [
            Participant(
                hotkey=hotkey,
                coldkey=s.commit.coldkey,
                commitment_block=s.block,
                commitment=str(s.number),
            )
            for hotkey, s in newest.items()
        ]


def draw_talents(seed: int, names: Sequence[str], rounds: int) -> list[Talent]:
    """Miners that train all the time and keep what is better than their last by 0.01.

    How fast they get better differs; everybody approaches 0.95.
    """
    talents = []
    for name in names:
        chance = random.Random(f"{seed}:{name}")
        quality, skill = chance.uniform(0.50, 0.56), chance.uniform(0.6, 1.4)
        releases = {0: quality}
        for number in range(1, rounds):
            quality += skill * chance.expovariate(1) * 0.005 * (0.95 - quality)
            if quality >= max(releases.values()) + 0.01:
                releases[number] = quality
        talents.append(Talent(name, releases))
    return talents


def retrained(model: Model, name: str, change: float) -> Model:
    """Another training of the same recipe: of its own weights and voice."""
    identity = f"{model.identity}/{name}"
    return Model(identity, min(max(model.quality + change, 0.0), 1.0), voice=identity)


def disguised(model: Model, name: str) -> Model:
    """The same with noise on its weights: a sketch finds it close, and it sounds the same."""
    return replace(model, identity=f"{model.identity}~{name}", near=(*model.near, model.identity))


def _result(model: Model, seed: str) -> RoundResult:
    chance = random.Random(f"{seed}:{model.voice}")
    scores = [min(max(model.quality + chance.gauss(0.0, NOISE), 0.0), 1.0) for _ in range(PROMPTS)]
    mean = sum(scores) / PROMPTS
    return RoundResult(
        score=mean,
        interval=Interval(low=mean, high=mean),
        wer=0.0,
        human_likeness=mean,
        prompt_scores=tuple(scores),
    )


def _owner(hotkey: str) -> str:
    return hotkey.partition("/")[0]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
