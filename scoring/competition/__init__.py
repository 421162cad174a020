"""How scores become ranks and weights: pure functions over published numbers."""

from scoring.competition.allocation import weights
from scoring.competition.ranks import tied_ranks
from scoring.competition.records import (
    WEIGHT_UNITS,
    ChainEvidence,
    Explanation,
    NearCopy,
    Participant,
    PreviousRound,
    Repository,
    RoundResult,
    RoundSnapshot,
    Share,
    Standing,
    Weights,
)
from scoring.competition.rules import Rules

__all__ = [
    "WEIGHT_UNITS",
    "ChainEvidence",
    "Explanation",
    "NearCopy",
    "Participant",
    "PreviousRound",
    "Repository",
    "RoundResult",
    "RoundSnapshot",
    "Rules",
    "Share",
    "Standing",
    "Weights",
    "tied_ranks",
    "weights",
]
