"""From lost matches to parts of one, exactly: decimals rounded in one way, then fractions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction

from scoring.competition.records import WEIGHT_UNITS
from scoring.competition.rules import Rules

# Decimal's exp is correctly rounded, so that no C library has a say in the last digit.
_EXACT = Context(prec=30)


def win_rate(lost: int, *, contenders: int, rules: Rules) -> Fraction:
    """Wins over matches, where the field has ``top_k`` places or more.

    A place that nobody takes counts as beaten.
    """
    matches = max(contenders, rules.top_k) - 1
    return Fraction(matches - lost, matches)


def round_shares(lost: Mapping[str, int], rules: Rules) -> dict[str, Fraction]:
    """The softmax of win rates at ``temperature``, without what is under ``floor``; sums to 1.

    ``lost`` are matches lost. The win rates are those in a field of ``top_k`` places, however many
    contend: who is beaten by all changes nobody's win rate but its own, so that a crowd of weak
    models neither lifts its owner nor draws the others together.
    """
    best = min(lost.values(), default=0)
    values = {key: _softmax_value(count - best, rules) for key, count in lost.items()}
    paid = {key: Fraction(value) for key, value in values.items() if value >= rules.floor}
    total = sum(paid.values())
    return {key: value / total for key, value in paid.items()}


def moving_average(
    shares: Mapping[int, Mapping[str, Fraction]], rules: Rules
) -> dict[str, Fraction]:
    """Mean of the shares of rounds, by number, each older round counting ``decay`` of the next.

    A round without any share is left out: what the others say stands. Empty where all are.
    """
    given = {number: parts for number, parts in shares.items() if parts}
    if not given:
        return {}
    newest = max(given)
    counted = {number: Fraction(rules.decay) ** (newest - number) for number in given}
    total = sum(counted.values())
    average: dict[str, Fraction] = {}
    for number, parts in given.items():
        for key, part in parts.items():
            average[key] = average.get(key, Fraction(0)) + part * counted[number] / total
    return average


def in_units(parts: Mapping[str, Fraction]) -> dict[str, int]:
    """``WEIGHT_UNITS`` dealt out by largest remainder. ``parts`` sum to 1."""
    exact = {key: part * WEIGHT_UNITS for key, part in parts.items()}
    units = {key: int(value) for key, value in exact.items()}
    left = WEIGHT_UNITS - sum(units.values())
    for key in sorted(exact, key=lambda k: (units[k] - exact[k], -parts[k], k))[:left]:
        units[key] += 1
    return units


def _softmax_value(behind: int, rules: Rules) -> Decimal:
    """The softmax value of who lost ``behind`` matches more than the best, whose value is 1."""
    scale = _EXACT.multiply(rules.temperature, Decimal(rules.top_k - 1))
    return _EXACT.exp(_EXACT.divide(Decimal(-behind), scale))
