"""Keys of the API: their text, what is kept of them, and what they may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.identity.api_keys import KEY_OCTETS, covers, fits, has_scope, hash_of, is_for, made, parsed, state
from schemas.keys import SCOPES, ApiKey, Scope

octets = st.binary(min_size=KEY_OCTETS, max_size=KEY_OCTETS)


def key(*scopes: Scope, accounts: tuple[str, ...] = (), expires: int = 0, revoked: int = 0) -> ApiKey:
    text = made(bytes(KEY_OCTETS))
    return ApiKey(
        id=text.id, name="k", hash=hash_of(text), scopes=list(scopes), accounts=list(accounts), created=1,
        expires=expires, revoked=revoked,
    )  # fmt: skip


@given(octets, octets)
def test_a_key_fits_itself_and_no_other(one: bytes, other: bytes) -> None:
    text = made(one)
    assert parsed(str(text)) == text
    assert len(str(text)) == 52
    kept = ApiKey(id=text.id, name="k", hash=hash_of(text), scopes=["read"], created=1)
    assert fits(kept, text)
    assert fits(kept, made(other)) == (one == other)
    assert text.secret not in repr(text)
    assert text.secret not in repr(kept)


@pytest.mark.parametrize(
    "text",
    ["", "lw_", "lw_00000000_", "LW_00000000_" + "0" * 40, "lw_0000000o_" + "0" * 40, "lw_00000000_" + "0" * 41],
)
def test_what_is_no_key(text: str) -> None:
    assert parsed(text) is None


def test_a_space_around_a_pasted_key_does_not_matter() -> None:
    text = made(bytes(KEY_OCTETS))
    assert parsed(f" {text}\n") == text


@pytest.mark.parametrize(
    ("scope", "included"),
    [
        ("read", {"read"}),
        ("operate", {"read", "operate"}),
        ("admin", {"read", "operate", "admin"}),
        ("numbers", {"numbers"}),
    ],
)
def test_a_scope_includes_those_below_it(scope: Scope, included: set[str]) -> None:
    assert {wanted for wanted in SCOPES if has_scope(key(scope), wanted)} == included


def test_a_key_holds_until_it_expires_or_is_revoked() -> None:
    assert state(key("read"), 10**12) == "active"
    assert [state(key("read", expires=100), now) for now in (99, 100)] == ["active", "expired"]
    assert state(key("read", expires=100, revoked=5), 50) == "revoked"


def test_a_bound_key_is_for_its_accounts_and_not_for_what_concerns_all() -> None:
    bound = key("read", accounts=("shop",))
    assert [is_for(bound, account) for account in ("shop", "other", "")] == [True, False, False]
    assert all(is_for(key("read"), account) for account in ("shop", ""))


def test_a_key_covers_what_may_do_no_more_than_itself() -> None:
    bound = key("admin", accounts=("shop", "cafe"))
    assert covers(bound, key("read", accounts=("shop",)))
    assert not covers(bound, key("read", accounts=("other",)))
    assert not covers(bound, key("read")), "for every account"
    assert not covers(bound, key("numbers", accounts=("shop",)))
    assert covers(key("admin", "numbers"), key("numbers", "admin"))
