"""The committed reference: what is read, what is refused and why."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.model_reference import (
    MAX_LONG_BYTES,
    MAX_SHORT_BYTES,
    InvalidReferenceError,
    ModelReference,
    format_reference,
    make_reference,
    parse_reference,
    submission_hash,
)

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
HASH = "9786973264116866672"
SHORT = f"alice:voice:default:{ALICE}:{submission_hash('alice', 'voice', 'default', ALICE)}:tts"
REVISION, DIGEST = "ab" * 20, "cd" * 32

names = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,19}", fullmatch=True)
hex_digits = st.sampled_from("0123456789abcdef")


@st.composite
def references(draw: st.DrawFn) -> ModelReference:
    pinned = draw(st.booleans())
    return make_reference(
        namespace=draw(names),
        name=draw(names),
        config_template="default",
        hotkey=draw(st.sampled_from([ALICE, BOB])),
        competition_id="tts",
        revision="".join(draw(st.lists(hex_digits, min_size=40, max_size=40))) if pinned else None,
        weights_digest=hashlib.sha256(draw(st.binary(max_size=4))).hexdigest() if pinned else None,
    )


@given(references())
def test_what_is_formatted_parses_to_the_same(reference: ModelReference) -> None:
    text = format_reference(reference)
    assert parse_reference(text, committed_by=reference.hotkey) == reference
    limit = MAX_SHORT_BYTES if reference.revision is None else MAX_LONG_BYTES
    assert len(text.encode()) <= limit


@given(st.text(max_size=600))
def test_any_text_parses_or_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text, committed_by=ALICE)
    assert caught.value.message
    assert caught.value.remedy


@given(st.integers(0, len(SHORT) - 1), st.characters())
def test_one_changed_character_is_never_taken_for_the_same(place: int, letter: str) -> None:
    changed = SHORT[:place] + letter + SHORT[place + 1 :]
    if changed == SHORT:
        return
    with pytest.raises(InvalidReferenceError):
        parse_reference(changed, committed_by=ALICE)


def test_the_hash_is_the_first_64_bits_of_a_sha256_in_decimal() -> None:
    text = "parler-tts parler-tts-mini-v1 default " + ALICE
    first_64_bits = hashlib.sha256(text.encode()).digest()[:8]
    found = submission_hash("parler-tts", "parler-tts-mini-v1", "default", ALICE)
    assert found == str(int.from_bytes(first_64_bits, "big"))


def test_a_frozen_hash_stays() -> None:
    assert submission_hash("parler-tts", "parler-tts-mini-v1", "default", ALICE) == HASH


def test_the_older_name_of_the_competition_is_understood() -> None:
    reference = parse_reference(SHORT.removesuffix("tts") + "d1", committed_by=ALICE)
    assert reference.competition_id == "tts"


def test_the_long_form_carries_revision_and_digest() -> None:
    reference = parse_reference(f"{SHORT}:{REVISION}:{DIGEST}", committed_by=ALICE)
    assert (reference.revision, reference.weights_digest) == (REVISION, DIGEST)
    assert reference.repo_id == "alice/voice"


FIELDS = SHORT.split(":")


def _with(index: int, value: str) -> str:
    return ":".join([*FIELDS[:index], value, *FIELDS[index + 1 :]])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "fields"),
        (SHORT + ":", "fields"),
        (SHORT + f":{REVISION}", "fields"),
        (f"{SHORT}:{REVISION}:{DIGEST}:more", "fields"),
        (_with(0, ""), "namespace"),
        (_with(5, ""), "competition_id"),
        (f"{SHORT}::{DIGEST}", "revision"),
        (_with(0, "a/b"), "namespace"),
        (_with(1, "a b"), "name"),
        (_with(1, "a..b"), "name"),
        (_with(2, "other"), "config_template"),
        (_with(3, ALICE[:-1] + "Z"), "hotkey"),
        (_with(3, "0x1234"), "hotkey"),
        (_with(3, BOB), "hotkey"),
        (_with(4, "1"), "hash"),
        (_with(4, "0" + FIELDS[4]), "hash"),
        (_with(5, "llm"), "competition_id"),
        (f"{SHORT}:main:{DIGEST}", "revision"),
        (f"{SHORT}:{REVISION.upper()}:{DIGEST}", "revision"),
        (f"{SHORT}:{REVISION}:{DIGEST[:-1]}", "weights_digest"),
        ("x" * (MAX_LONG_BYTES + 1), "length"),
        (_with(1, "v" * 60), "length"),
    ],
)
def test_what_is_wrong_is_named(text: str, field: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text, committed_by=ALICE)
    assert caught.value.field == field


def test_a_name_too_long_for_the_short_form_fits_the_long_one() -> None:
    fields = {"namespace": "alice", "name": "v" * 60, "config_template": "default"}
    fields |= {"hotkey": ALICE, "competition_id": "tts"}
    with pytest.raises(InvalidReferenceError, match="128"):
        make_reference(**fields)
    assert make_reference(**fields, revision=REVISION, weights_digest=DIGEST).name == "v" * 60


def test_revision_and_digest_come_together() -> None:
    fields = {"namespace": "alice", "name": "voice", "config_template": "default"}
    with pytest.raises(InvalidReferenceError) as caught:
        make_reference(**fields, hotkey=ALICE, competition_id="tts", revision=REVISION)
    assert caught.value.field == "weights_digest"
