"""Whether what the API published about a submission agrees with the chain.

The competition itself compares a standing with what its hotkey has committed now. Here is what
needs more than that: what the committed string means, and what was committed in the past.
"""

from __future__ import annotations

from collections.abc import Iterator

from neurons.chain_past import PastCommitments
from scoring.competition import RoundSnapshot, Standing
from utilities.chain_view import View
from utilities.model_reference import InvalidReferenceError, ModelReference, parse_reference


def contradictions(snapshot: RoundSnapshot, view: View, past: PastCommitments) -> dict[int, str]:
    """Submissions of registered hotkeys that the chain speaks against, each with the reason.

    Past blocks that the node has forgotten speak against nobody: the evidence is signed, and
    whoever has an archive can check it. Raises ChainError.
    """
    registered = {neuron.hotkey for neuron in view.metagraph.neurons}
    found = {}
    for standing in snapshot.standings:
        if standing.hotkey in registered:
            reasons = _objections(standing, snapshot.competition_id, view, past)
            if (reason := next(reasons, None)) is not None:
                found[standing.submission_id] = reason
    return found


def _objections(
    standing: Standing, competition_id: str, view: View, past: PastCommitments
) -> Iterator[str]:
    try:
        reference = parse_reference(standing.evidence.commitment, committed_by=standing.hotkey)
    except InvalidReferenceError as error:
        yield f"its commitment is malformed: {error.message}"
        return
    yield from _differences(standing, reference, competition_id)
    yield from _not_committed(standing, view, past)


def _differences(
    standing: Standing, reference: ModelReference, competition_id: str
) -> Iterator[str]:
    repository = standing.repository
    scored = f"{repository.namespace}/{repository.name}"
    if reference.competition_id != competition_id:
        yield f"it was committed for competition {reference.competition_id}"
    if reference.repo_id != scored:
        yield f"{reference.repo_id} was committed, and {scored} scored"
    if reference.revision not in {None, repository.revision}:
        yield f"revision {reference.revision} was committed, and {repository.revision} scored"
    if reference.weights_digest != standing.committed_digest:
        yield (
            f"weights digest {reference.weights_digest} was committed, "
            f"and {standing.committed_digest} published as committed"
        )


def _not_committed(standing: Standing, view: View, past: PastCommitments) -> Iterator[str]:
    evidence = standing.evidence
    current = view.commitments.get(standing.hotkey)
    if current is None or current.block != evidence.block:
        yield from _not_then(standing, evidence.block, past)
    if standing.superseded_block is not None:
        # Named too late, an old model would count for longer than its miner's grace.
        yield from _not_then(standing, standing.superseded_block - 1, past)
    if evidence.sealed_block is not None:
        # What was sealed right before the reveal is what was opened then.
        then = past(evidence.block - 1)
        held = None if then is None else then.get(standing.hotkey)
        if then is not None and (held is None or held.block != evidence.sealed_block):
            yield f"what was revealed in block {evidence.block} was not sealed as early as claimed"


def _not_then(standing: Standing, block: int, past: PastCommitments) -> Iterator[str]:
    """Unless the commitment was the hotkey's after ``block``."""
    then = past(block)
    if then is None:
        return
    found, evidence = then.get(standing.hotkey), standing.evidence
    if found is None or (found.block, found.text) != (evidence.block, evidence.commitment):
        yield (
            f"the chain did not hold the commitment of block {evidence.block} after block {block}"
        )
