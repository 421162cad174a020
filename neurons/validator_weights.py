"""From shares to weights on the chain: whose uid, and when they must be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from scoring.competition import WEIGHT_UNITS, Weights
from utilities.chain import Metagraph, SubnetRules
from utilities.errors import SubnetError

WEIGHTS_VERSION: Final = 1
"""Sent along as the version key. Raised when validators must not mix with older ones; the subnet's
owner raises the subnet's then."""


class NobodyToWeighError(SubnetError):
    """No hotkey with weight is registered. Nothing is set: zeroes would be refused anyway."""

    code: ClassVar[str] = "NOBODY_TO_WEIGH"


class ValidatorOutdatedError(SubnetError):
    """The subnet asks for a newer validator."""

    code: ClassVar[str] = "VALIDATOR_OUTDATED"


def parts_by_hotkey(weights: Weights, metagraph: Metagraph) -> dict[str, float]:
    """Each hotkey's part of one; what is burned is the owner's. No zeroes.

    Raises NobodyToWeighError when something is to be burned and the owner is not registered: the
    others would get it instead.
    """
    parts = {share.hotkey: share.weight for share in weights.shares if share.units > 0}
    for owner, burned in burned_parts(weights.burned_units, metagraph).items():
        parts[owner] = parts.get(owner, 0.0) + burned
    return parts


def burned_parts(units: int, metagraph: Metagraph) -> dict[str, float]:
    """The part that is burned: the subnet owner's. Raises NobodyToWeighError."""
    if units == 0:
        return {}
    owner = metagraph.owner_hotkey
    if metagraph.neuron_of(owner) is None:
        raise NobodyToWeighError(
            f"{units} of {WEIGHT_UNITS} units are to be burned, and the "
            f"subnet's owner hotkey {owner} is not registered",
            "The last weights stand. The subnet's owner registers the hotkey.",
        )
    return {owner: units / WEIGHT_UNITS}


def weights_by_uid(parts: Mapping[str, float], metagraph: Metagraph) -> dict[int, float]:
    """The weights of those who are registered. Raises NobodyToWeighError when nobody is."""
    uids = {neuron.hotkey: neuron.uid for neuron in metagraph.neurons}
    weights = {uids[hotkey]: part for hotkey, part in parts.items() if hotkey in uids}
    if not weights:
        raise NobodyToWeighError(
            f"none of the {len(parts)} hotkeys with weight is registered any more",
            "The weights on the chain stand. New ones are set as soon as there are scores.",
        )
    return weights


def check_version(rules: SubnetRules) -> None:
    """Raises ValidatorOutdatedError unless the subnet takes weights of this version."""
    if rules.weights_version > WEIGHTS_VERSION:
        raise ValidatorOutdatedError(
            f"the subnet asks for weights version {rules.weights_version}, and this validator has "
            f"{WEIGHTS_VERSION}",
            "Update this validator.",
        )


def due_block(last_set: int, rules: SubnetRules, *, fresh: bool) -> int:
    """From which block on weights are set, when they were last set in block ``last_set``.

    Fresh ones as soon as the rate limit allows, and at least once an epoch. Old ones stand on the
    chain and are set again only to keep the validator active: when half the activity cutoff has
    passed, so that the other half is left for whatever fails then. 0: never set.
    """
    if last_set == 0:
        return 0
    refresh = 0 if fresh else rules.activity_cutoff // 2
    return last_set + max(rules.weights_rate_limit, refresh)
