"""Message ids and click tokens: there and back, and nothing that was not made here is taken."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.identity.tokens import (
    ClickToken,
    MessageId,
    click_tokens,
    message_id,
    message_ids,
    new_campaign_id,
    parse_click_token,
    parse_message_id,
)

KEY = bytes(range(32))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

campaigns = st.binary(min_size=5, max_size=5).map(new_campaign_id)
octets = st.integers(0, 255)
ordinals = st.integers(0, 2**32 - 1)
keys = st.binary(min_size=16, max_size=64)


def click_token(key: bytes, campaign: str, message: int, ordinal: int, link: int) -> str:
    return click_tokens(key, campaign, message, link, [ordinal])[0]


def test_campaign_ids_are_crockford_base_32() -> None:
    assert new_campaign_id(bytes(5)) == "00000000"
    assert new_campaign_id(b"\xff" * 5) == "zzzzzzzz"
    assert new_campaign_id((0x0123456789).to_bytes(5, "big")) == "04hmasw9"


@given(st.binary(min_size=5, max_size=5))
def test_campaign_ids_have_the_form_that_the_schemas_check(drawn: bytes) -> None:
    assert re.fullmatch(r"[0-9a-hjkmnp-tv-z]{8}", new_campaign_id(drawn))


@given(st.sets(st.binary(min_size=5, max_size=5)))
def test_campaign_ids_are_as_many_as_the_octets(drawn: set[bytes]) -> None:
    assert len(set(map(new_campaign_id, drawn))) == len(drawn)


@pytest.mark.parametrize("drawn", [b"", b"1234", b"123456"])
def test_campaign_ids_want_5_octets(drawn: bytes) -> None:
    with pytest.raises(ValueError, match="5 octets"):
        new_campaign_id(drawn)


@given(campaigns, octets, ordinals)
def test_message_ids_come_back(campaign: str, message: int, ordinal: int) -> None:
    text = message_id(campaign, message, ordinal)
    assert text == f"{campaign}-{message}-{ordinal}"
    assert parse_message_id(text) == MessageId(campaign, message, ordinal)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "04hmasw9",
        "04hmasw9-1",
        "04hmasw9-1-",
        "04hmasw9-256-1",
        "04hmasw9-1-4294967296",
        "04hmasw9-01-1",
        "04hmasw9-1-01",
        "04hmasw9-1--1",
        "04hmasw9-1-+1",
        "04hmasw9-1-1 ",
        "04hmasw9-1-1\n",
        "04hmasw9-1-1_0",
        "04hmasw9-1-١",
        "04HMASW9-1-1",
        "04hmaswi-1-1",
        "04hmasw-1-1",
        "04hmasw9-1-1-1",
    ],
)
def test_what_is_no_message_id(text: str) -> None:
    assert parse_message_id(text) is None


@given(keys, campaigns, octets, ordinals, octets)
def test_click_tokens_come_back(key: bytes, campaign: str, message: int, ordinal: int, link: int) -> None:
    token = click_token(key, campaign, message, ordinal, link)
    assert re.fullmatch(r"[A-Za-z0-9_-]{23}", token)
    assert parse_click_token(key, token) == ClickToken(campaign, message, ordinal, link)


def test_the_layout_of_a_click_token_is_as_documented() -> None:
    raw = urlsafe_b64decode(click_token(KEY, "04hmasw9", 2, 0x0A0B0C0D, 3) + "=")
    assert raw[:11] == bytes.fromhex("0123456789 02 0a0b0c0d 03")
    assert raw[11:] == blake2b(raw[:11], digest_size=6, key=KEY, person=b"longwave-click").digest()


@given(keys, keys, campaigns, ordinals)
def test_another_key_makes_no_token(key: bytes, other: bytes, campaign: str, ordinal: int) -> None:
    # BLAKE2b pads keys with zeros, and its parameter block holds the length: equal only when the same.
    parsed = parse_click_token(other, click_token(key, campaign, 0, ordinal, 0))
    assert (parsed is not None) == (key == other)


@given(campaigns, octets, ordinals, st.integers(0, 22), st.sampled_from(ALPHABET))
def test_a_changed_character_makes_no_token(campaign: str, octet: int, ordinal: int, at: int, character: str) -> None:
    token = click_token(KEY, campaign, octet, ordinal, octet)
    forged = token[:at] + character + token[at + 1 :]
    assert (parse_click_token(KEY, forged) is not None) == (forged == token)


def test_no_token_but_one_means_a_click() -> None:
    token = click_token(KEY, "04hmasw9", 0, 1, 0)
    taken = [c for c in ALPHABET if parse_click_token(KEY, token[:-1] + c)]
    assert taken == [token[-1]]


@given(st.text())
def test_any_text_gives_no_match(text: str) -> None:
    assert parse_click_token(KEY, text) is None
    assert parse_message_id(text) is None


@pytest.mark.parametrize("change", ["{}=", "{}\n", " {}", "{}A", "\N{FULLWIDTH DIGIT ONE}{}", "{}\0", "\ud800{}"])
def test_nothing_may_be_put_about_a_token(change: str) -> None:
    token = click_token(KEY, "04hmasw9", 0, 1, 0)
    for forged in (change.format(token), change.format(token[1:]), change.format(token)[:23]):
        assert (parse_click_token(KEY, forged) is not None) == (forged == token)


@given(campaigns, octets, octets, st.lists(ordinals))
def test_chunks_are_as_one_by_one(campaign: str, message: int, link: int, chunk: list[int]) -> None:
    ids = [f"{campaign}-{message}-{ordinal}" for ordinal in chunk]
    tokens = [click_token(KEY, campaign, message, ordinal, link) for ordinal in chunk]
    for column in (chunk, np.array(chunk, np.uint32), np.array(chunk, np.int64)):
        assert message_ids(campaign, message, column) == ids
        assert click_tokens(KEY, campaign, message, link, column) == tokens


def test_a_range_is_a_chunk() -> None:
    assert message_ids("04hmasw9", 0, range(3)) == ["04hmasw9-0-0", "04hmasw9-0-1", "04hmasw9-0-2"]


@pytest.mark.parametrize(
    ("campaign", "message", "ordinal"),
    [
        ("04HMASW9", 0, 0),
        ("04hmasw", 0, 0),
        ("04hmaswu", 0, 0),
        ("", 0, 0),
        ("04hmasw9", 256, 0),
        ("04hmasw9", -1, 0),
        ("04hmasw9", 0, -1),
        ("04hmasw9", 0, 2**32),
        ("04hmasw9", 0, 2**70),
        ("04hmasw9", 0, 0.5),
    ],
)
def test_what_is_out_of_range_is_refused(campaign: str, message: int, ordinal: int) -> None:
    with pytest.raises(ValueError, match=r"campaign id|message|ordinals"):
        message_id(campaign, message, ordinal)
    with pytest.raises(ValueError, match=r"campaign id|message|ordinals"):
        click_token(KEY, campaign, message, ordinal, 0)


@pytest.mark.parametrize("link", [-1, 256])
def test_a_link_out_of_range_is_refused(link: int) -> None:
    with pytest.raises(ValueError, match="link"):
        click_token(KEY, "04hmasw9", 0, 0, link)


@pytest.mark.parametrize("key", [b"", b"short", bytes(15), bytes(65)])
def test_a_key_that_protects_nothing_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="16 to 64 octets"):
        click_token(key, "04hmasw9", 0, 0, 0)
    with pytest.raises(ValueError, match="16 to 64 octets"):
        parse_click_token(key, "A" * 23)
