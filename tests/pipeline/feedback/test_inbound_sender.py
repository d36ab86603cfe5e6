"""However an aggregator spells the sender of a text: it is the number, or kept for an operator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feedback.inbound_sender import Person, read_sender, sender_key
from pipeline.feedback.inbound_time import AHEAD, OLDEST, read_time

ANN = 33_612_345_678
NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    "spelled",
    [
        "+33612345678",
        "33612345678",
        "0033612345678",
        "+0033612345678",
        " 33612345678",
        "++33612345678",
        "%2B33612345678",
        "+33 6 12 34 56 78",
        "+33 (0)6 12 34 56 78",
        "+33.6.12.34.56.78",
        "+33-612-345-678",
        "whatsapp:+33612345678",
        "whatsapp:%2B33612345678",
        "tel:+33612345678",
        "TEL: +33-6-12-34-56-78;phone-context=example",
        "sip:+33612345678@carrier.example",
        "\u202a+33612345678\u202c",
        "\ufeff+33612345678",
        "+33612345678\r",
        "+33612345678\r\n",
        "\u00a0+33612345678\u00a0",
        "＋３３６１２３４５６７８",
        "+٣٣٦١٢٣٤٥٦٧٨",
        "'+33612345678",
        '"+33612345678"',
        "<+33612345678>",
        "33612345678.0",
    ],
)
def test_spellings_of_one_number(spelled: str) -> None:
    assert read_sender(spelled) == Person(ANN)


@pytest.mark.parametrize(
    "spelled",
    ["", "+", "Bob", "SHOP24", "0612345678", "12345678901234567", "+33612345678 App 12", "00", "🛑", "\x00"],
)
def test_what_is_no_number_is_kept_for_an_operator(spelled: str) -> None:
    assert read_sender(spelled) == Person(None)


@pytest.mark.parametrize(
    ("spelled", "country", "number"),
    [
        ("0612345678", "FR", ANN),
        ("612345678", "FR", ANN),
        ("(212) 555-0123", "US", 12_125_550_123),
        ("2125550123", "US", 12_125_550_123),
        ("12125550123", "US", 12_125_550_123),
        ("2125550123", "CA", 12_125_550_123),
        ("07400 123456", "GB", 447_400_123_456),
        ("7400123456", "GB", 447_400_123_456),
        ("9876543210", "IN", 919_876_543_210),
        ("+1 212 555 0123", "FR", 12_125_550_123),
        ("011 33 6 12 34 56 78", "US", ANN),
        ("33612345678", "US", ANN),
        ("0011 33 6 12 34 56 78", "AU", ANN),
        ("0061 491 570 156", "AU", 61_491_570_156),
    ],
)
def test_as_one_dials_it_where_the_receiving_sender_is(spelled: str, country: str, number: int) -> None:
    assert read_sender(spelled, country) == Person(number)


def test_two_spellings_of_one_handset_are_one_person() -> None:
    assert read_sender("+5212221234567") == read_sender("+522221234567")


@pytest.mark.parametrize(
    "spelled", ["2125550123", "612345678", "36111", "55555", "7700900123", "5550123", "999123456789", "1", "911"]
)
def test_bare_digits_that_no_plan_knows_are_no_number(spelled: str) -> None:
    assert read_sender(spelled) == Person(None)


@pytest.mark.parametrize("spelled", ["+999123456789", "00999123456789", "+36111", "tel:+999 123 456 789"])
def test_marked_as_international_a_number_that_no_plan_knows_is_kept(spelled: str) -> None:
    number, also = read_sender(spelled)
    assert number is not None
    assert str(number) in "999123456789 36111"
    assert not also


def test_digits_with_two_readings_are_both_numbers_and_nobody_for_sure() -> None:
    assert read_sender("3214567890", "US") == Person(None, (3_214_567_890, 13_214_567_890))
    assert read_sender("33612345678", "DE") == Person(None, (ANN, 4_933_612_345_678))


def test_digits_with_the_own_calling_code_are_international_and_close_the_other_reading_too() -> None:
    assert read_sender("4915123456789", "DE") == Person(4_915_123_456_789, (494_915_123_456_789,))


def test_a_plus_in_front_of_a_number_as_dialed_closes_that_number_too() -> None:
    assert read_sender("+2125550123", "US") == Person(2_125_550_123, (12_125_550_123,))
    assert read_sender("+0612345678", "FR") == Person(None, (ANN,))


def test_a_country_that_is_only_guessed_makes_nothing_sure() -> None:
    assert read_sender("2125550123", "", ["FR", "US"]) == Person(None, (12_125_550_123,))
    assert read_sender("3214567890", "", ["US"]) == Person(None, (3_214_567_890, 13_214_567_890))
    assert read_sender("33612345678", "", ["FR", "US"]) == Person(ANN)
    assert read_sender("4915123456789", "", ["DE"]) == Person(4_915_123_456_789, (494_915_123_456_789,))


@given(st.text(max_size=40))
def test_nothing_that_anybody_may_send_raises(spelled: str) -> None:
    number, also = read_sender(spelled, "US", ["DE"])
    assert all(1 <= possible < 10**15 for possible in ([] if number is None else [number, *also]))
    sender_key(spelled)


def test_senders_of_ours_are_found_however_they_are_spelled() -> None:
    spelled = ("+18885550100", "18885550100", "0018885550100", "+1 888-555-0100", "tel:+18885550100")
    names = {sender_key(item) for item in spelled}
    assert names == {"18885550100"}
    assert sender_key("HARBOR") == sender_key("Harbor ")


@pytest.mark.parametrize(
    "value",
    [NOW, NOW // 1000, NOW * 1000, NOW * 1_000_000, str(NOW), str(NOW // 1000), NOW / 1000, "2026-09-21T14:13:20Z",
     "2026-09-21T16:13:20+02:00"],
)  # fmt: skip
def test_times_in_the_units_of_others(value: object) -> None:
    assert read_time(value, NOW + 1000) == (NOW, "")


@pytest.mark.parametrize(
    "value",
    [0, 1, -5, 1.5, True, "soon", "2026-09-21T14:13:20", NOW - OLDEST - 1, NOW + AHEAD + 1, 32_503_680_000_000,
     10**30, float("nan"), [], {}, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_an_implausible_time_is_the_arrival_and_is_noted(value: object) -> None:
    assert read_time(value, NOW) == (NOW, "implausible_time")


def test_a_clock_that_is_a_little_ahead_is_taken_back_to_the_arrival() -> None:
    assert read_time(NOW + AHEAD, NOW) == (NOW, "")
    assert read_time(None, NOW) == (NOW, "")


@given(st.one_of(st.integers(), st.floats(), st.text(max_size=30), st.none(), st.booleans()))
def test_no_time_raises(value: object) -> None:
    at, _ = read_time(value, NOW)
    assert NOW - OLDEST <= at <= NOW
