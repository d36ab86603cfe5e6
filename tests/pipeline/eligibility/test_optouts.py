"""Who may not be written to: by account and for all, out or held, in the order of the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.eligibility.optouts import OptOuts, parse_key, reason_of
from schemas.feedback import OPTOUTS, Consent, ConsentState, consent_key
from schemas.wire import DecodeError, encode

ANN, BOB = 33_612_345_678, 33_612_345_679
ACCOUNTS = ("", "shop", "club")


def consent(state: ConsentState, account: str = "", hold: str = "", number: int = ANN, place: int = -1) -> Consent:
    return Consent(account=account, number=number, state=state, at=1, source="api", hold=hold, place=place)


def why(view: OptOuts, account: str, number: int = ANN) -> str:
    return view.blocked_many(account, [BOB, number])[1]


def test_an_opt_out_of_one_account_leaves_the_others_alone_and_one_of_all_counts_for_each() -> None:
    view = OptOuts([BOB])
    assert view.blocked_many("shop", [ANN, BOB]) == ["", "opted_out"]
    view.apply(consent("out", "shop"))
    assert [why(view, account) for account in ("shop", "club")] == ["opted_out", ""]
    view.apply(consent("out"))
    view.apply(consent("in", "shop"))
    assert [why(view, account) for account in ("shop", "club")] == ["opted_out", "opted_out"]
    view.apply(consent("in"))
    assert [why(view, account) for account in ("shop", "club")] == ["", ""]


def test_a_hold_blocks_until_it_is_ended_and_ending_it_undoes_no_opt_out() -> None:
    view = OptOuts()
    view.apply(consent("held", "shop", "aa"))
    view.apply(consent("held", "shop", "bb"))
    assert (why(view, "shop"), why(view, "club")) == ("held_for_review", "")
    view.apply(consent("in", "shop", "aa"))
    assert why(view, "shop") == "held_for_review", "another text waits"
    view.apply(consent("out", "shop"))
    view.apply(consent("in", "shop", "bb"))
    assert why(view, "shop") == "opted_out"
    view.apply(consent("in", "shop"))
    assert why(view, "shop") == ""
    view.apply(consent("in", "shop", "cc"))
    assert why(view, "shop") == ""


def test_a_start_that_a_stop_has_overtaken_opens_nothing() -> None:
    view = OptOuts()
    view.apply(consent("out", "shop", place=7))
    view.apply(consent("in", "shop", place=6))
    assert why(view, "shop") == "opted_out"
    view.apply(consent("in", "shop", place=8))
    assert why(view, "shop") == ""
    view.apply(consent("out", "shop"))
    view.apply(consent("in", "shop", place=9))
    assert why(view, "shop") == "", "a link is no text: the log alone decides"


def test_what_cannot_be_read_closes_and_a_deleted_key_opens() -> None:
    view = OptOuts()
    key = parse_key(b"shop/33612345678")
    assert key == ("shop", ANN, "")
    view.block(key)
    assert why(view, "shop") == "opted_out"
    view.forget(key)
    assert why(view, "shop") == ""
    assert parse_key(b"/33612345678/0a") == ("", ANN, "0a")
    assert parse_key(b"33612345678") is None
    assert parse_key(b"shop/x") is None


def test_what_a_start_cannot_open() -> None:
    view = OptOuts()
    view.apply(consent("out", "shop"))
    assert view.blocked_otherwise("shop", ANN) == ""
    view.apply(consent("out"))
    assert view.blocked_otherwise("shop", ANN) == "opted_out"
    for account in ("shop", ""):
        view.apply(consent("held", account, "aa"))
        assert view.blocked_otherwise("shop", ANN) == "held_for_review", "whatever else a START opens"
        view.apply(consent("in", account, "aa"))


def test_a_hold_that_an_operator_has_ended_is_known() -> None:
    view = OptOuts()
    held = consent("held", "shop", "aa")
    assert not view.has(held)
    view.apply(held)
    view.apply(consent("in", "shop", "aa"))
    assert view.has(held)


def test_records_travel_and_are_checked() -> None:
    made = consent("held")
    assert made.hold, "a hold has a name of its own, so that ending it ends no other"
    assert OPTOUTS.decode(encode(made)) == made
    assert consent_key(made) == f"/{ANN}/{made.hold}".encode()
    assert consent_key(consent("out", "shop")) == f"shop/{ANN}".encode()
    with pytest.raises(DecodeError):
        OPTOUTS.decode(encode(consent("in", "shop", "aa")).replace(b'"in"', b'"out"'))


CHANGES = st.builds(
    consent,
    state=st.sampled_from(["out", "in"]),
    account=st.sampled_from(ACCOUNTS),
    number=st.sampled_from([ANN, BOB]),
) | st.builds(
    consent,
    state=st.sampled_from(["held", "in"]),
    account=st.sampled_from(ACCOUNTS),
    hold=st.sampled_from(["aa", "bb"]),
    number=st.sampled_from([ANN, BOB]),
)


@given(st.lists(CHANGES, max_size=40), st.integers(1, 4))
def test_the_view_follows_the_rule_through_any_sequence(changes: list[Consent], merge_at: int) -> None:
    view, states = OptOuts(merge_at=merge_at), dict[int, dict[tuple[str, str], str]]()
    for change in changes:
        view.apply(change)
        states.setdefault(change.number, {})[change.account, change.hold] = change.state
    for account in ACCOUNTS:
        for number in (ANN, BOB):
            assert view.blocked_many(account, [number]) == [reason_of(account, states.get(number, {}))]
