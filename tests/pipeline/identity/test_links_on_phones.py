"""Links as phones make them of a text: whatever a phone leaves out or takes along, the token is read."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.identity import optout_links, tokens
from pipeline.identity.optout_links import OptOutToken, optout_tokens, parse_optout_token
from pipeline.identity.tokens import ClickToken, click_tokens, parse_click_token, without_tail

KEY = b"a key of the test, long enough"
CAMPAIGN = "1a2b3c4d"
BASE = "https://shop.example"


def android(text: str) -> str:
    """As android.util.Patterns.WEB_URL: its last character is a letter, a digit, or one of a few symbols."""
    actual = re.search(r"https?://[^\s<>\"“”«»]+", text)
    assert actual is not None
    return re.sub(r"[^A-Za-z0-9/#&=+$%]+$", "", actual[0])


def ios(text: str) -> str:
    """As NSDataDetector: punctuation, hyphens and closing brackets at the end are left to the sentence."""
    actual = re.search(r"https?://[^\s<>\"“”«»]+", text)
    assert actual is not None
    return re.sub(r"[.,;:!?'’…)\]}\-_*~]+$", "", actual[0])


def greedy(text: str) -> str:
    """As simple clients do: all that is no blank."""
    actual = re.search(r"https?://\S+", text)
    assert actual is not None
    return actual[0]


def token_of(url: str, length: int) -> str:
    """The path's part behind /o/ or /c/, as the ingress gets it."""
    return without_tail(url.removeprefix(BASE).split("/")[2], length)


TEXTS = (
    "{}",
    "{}.",
    "({})",
    "{}, thanks",
    "{}!",
    "{}…",
    "“{}”",
    "'{}'",
    "<{}>",
    "{}; bye",
    "[{}]",
    "{}?",
    "{}*",
    "{}).",
    "{}/",
    "{}-",
    "{}_",
    "{}--",
    "{}-stop",
    "{}Thanks",
    "{}STOP2end",
    "{}0",
)
LINKIFIERS = (android, ios, greedy)


@pytest.mark.parametrize("linkify", LINKIFIERS)
@pytest.mark.parametrize("around", TEXTS)
def test_every_opt_out_link_is_read_as_phones_make_it(linkify: Callable[[str], str], around: str) -> None:
    numbers = range(12125550000, 12125550300)
    for number, token in zip(numbers, optout_tokens(KEY, CAMPAIGN, numbers), strict=True):
        text = f"Sale! Stop: {around.format(f'{BASE}/o/{token}')}"
        assert parse_optout_token(KEY, token_of(linkify(text), optout_links.TOKEN_LENGTH)) == OptOutToken(
            number, CAMPAIGN
        )


@pytest.mark.parametrize("linkify", LINKIFIERS)
@pytest.mark.parametrize("around", TEXTS)
def test_every_short_link_is_read_as_phones_make_it(linkify: Callable[[str], str], around: str) -> None:
    for ordinal, token in enumerate(click_tokens(KEY, CAMPAIGN, 0, 0, range(300))):
        text = f"Sale! {around.format(f'{BASE}/c/{token}')}"
        assert parse_click_token(KEY, token_of(linkify(text), tokens.TOKEN_LENGTH)) == ClickToken(
            CAMPAIGN, 0, ordinal, 0
        )


@given(st.lists(st.integers(1, 999_999_999_999_999), min_size=1, max_size=50))
def test_no_token_ends_in_what_phones_leave_out(numbers: list[int]) -> None:
    assert all(token[-1].isalnum() for token in optout_tokens(KEY, CAMPAIGN, numbers))
    ordinals = [number % 0xFFFFFFFF for number in numbers]
    assert all(token[-1].isalnum() for token in click_tokens(KEY, CAMPAIGN, 3, 7, ordinals))


@pytest.mark.parametrize("more", ["A", "-", "_", "0"])
def test_what_is_glued_to_a_token_is_cut_off_and_its_mac_is_still_checked(more: str) -> None:
    (token,) = optout_tokens(KEY, CAMPAIGN, [12125550123])
    assert parse_optout_token(KEY, token + more) is None
    (click,) = click_tokens(KEY, CAMPAIGN, 0, 0, [1])
    assert parse_click_token(KEY, click + more) is None
    assert parse_click_token(KEY, without_tail(click + more, tokens.TOKEN_LENGTH)) == ClickToken(CAMPAIGN, 0, 1, 0)
    for forged in (f"A{token[1:]}{more}", f"{more}{token}", f"{token[:-1]}{more}A", token[:-1], token[1:] + more):
        assert forged.startswith(token) or (
            parse_optout_token(KEY, without_tail(forged, optout_links.TOKEN_LENGTH)) is None
        )
    for forged in (f"A{click[1:]}{more}", f"{more}{click}", click[:-1], click[1:] + more):
        assert forged.startswith(click) or (parse_click_token(KEY, without_tail(forged, tokens.TOKEN_LENGTH)) is None)
