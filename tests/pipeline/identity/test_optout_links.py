"""Tokens of opt-out links: they say who, show nothing, and cannot be made without the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content.outgoing import LinkSigner, compile_lane_message, everywhere
from pipeline.content.segments import count
from pipeline.identity.optout_links import TOKEN_LENGTH, optout_tokens, parse_optout_token
from schemas.lane import LaneMessage

KEY = b"0123456789abcdef"
CAMPAIGN = "4f7k2q9z"


@given(st.integers(1, 999_999_999_999_999))
def test_a_token_says_who_and_from_which_campaign(number: int) -> None:
    [token] = optout_tokens(KEY, CAMPAIGN, [number])
    assert len(token) == TOKEN_LENGTH
    assert parse_optout_token(KEY, token) == (number, CAMPAIGN)
    assert parse_optout_token(b"another-key-16-o", token) is None


@given(st.integers(0, TOKEN_LENGTH - 1), st.sampled_from("abcXYZ019-_"))
def test_a_changed_token_is_not_accepted(place: int, character: str) -> None:
    [token] = optout_tokens(KEY, CAMPAIGN, [12_125_550_123])
    changed = token[:place] + character + token[place + 1 :]
    said = parse_optout_token(KEY, changed)
    assert said == ((12_125_550_123, CAMPAIGN) if changed == token else None)


@pytest.mark.parametrize("token", ["", "x" * 23, "x" * 25, "é" * 24, "." * 24])
def test_garbage_is_not_accepted(token: str) -> None:
    assert parse_optout_token(KEY, token) is None


def test_neighbours_look_unrelated_so_that_a_number_cannot_be_read_from_a_link() -> None:
    first, second = optout_tokens(KEY, CAMPAIGN, [12_125_550_123, 12_125_550_124])
    assert sum(a == b for a, b in zip(first, second, strict=True)) < TOKEN_LENGTH // 2


def test_what_is_no_number_or_no_key_is_refused() -> None:
    for number in (0, 10**15):
        with pytest.raises(ValueError, match=r"no E\.164 number"):
            optout_tokens(KEY, CAMPAIGN, [number])
    with pytest.raises(ValueError, match="16 to 64"):
        parse_optout_token(b"short", "0" * 24)


def test_the_template_field_gives_each_recipient_a_link_of_their_own_as_long_as_counted() -> None:
    renderer = compile_lane_message(LaneMessage(text="Hi {name}, leave: {opt_out}", links=[]))
    columns = {"name": ["Ana", "Bo"]}
    signer = LinkSigner(KEY, everywhere("https://hp.example"))
    texts = renderer.render(CAMPAIGN, 0, [0, 1], columns, signer, [12_125_550_123, 33_612_345_678])
    said = [parse_optout_token(KEY, text.rsplit("/o/", 1)[1]) for text in texts]
    assert said == [(12_125_550_123, CAMPAIGN), (33_612_345_678, CAMPAIGN)]
    assert renderer.segments(columns, 2, signer.bases).tolist() == [count(text).parts for text in texts]
    assert [len(text) for text in texts] == [len(text) for text in renderer.lengths(columns, 2, signer.bases)]


def test_a_text_with_the_field_but_without_numbers_does_not_go_out() -> None:
    renderer = compile_lane_message(LaneMessage(text="Leave: {opt_out}", links=[]))
    with pytest.raises(ValueError, match="0 values for 1 recipients"):
        renderer.render(CAMPAIGN, 0, [0], {}, LinkSigner(KEY, everywhere("https://hp.example")))
