"""How scores become ranks and weights: pure functions over published numbers."""

from scoring.competition.allocation import weights
from scoring.competition.audits import FailedAudit, Trust, trust_in_api
from scoring.competition.entrants import Candidate, Entrants, next_round_entrants
from scoring.competition.errors import RoundsUnusableError
from scoring.competition.history import parse_snapshot
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
from scoring.competition.signed import CryptoName, SignedRound

__all__ = [
    "WEIGHT_UNITS",
    "Candidate",
    "ChainEvidence",
    "CryptoName",
    "Entrants",
    "Explanation",
    "FailedAudit",
    "NearCopy",
    "Participant",
    "PreviousRound",
    "Repository",
    "RoundResult",
    "RoundSnapshot",
    "RoundsUnusableError",
    "Rules",
    "Share",
    "SignedRound",
    "Standing",
    "Trust",
    "Weights",
    "next_round_entrants",
    "parse_snapshot",
    "tied_ranks",
    "trust_in_api",
    "weights",
]
