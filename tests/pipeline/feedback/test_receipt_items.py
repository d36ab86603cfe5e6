"""Receipts item by item: what each says, and which cannot be of anything that was sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feedback.receipts import CODE_LIMIT, Receipt, Refusal, Sent, misfit, read_item
from schemas.reasons import of_kind

NOW = 1_764_000_000_000
GOOD = {"id": "1a2b3c4d-0-17", "status": "delivered"}
SENT = Sent(launched=True, messages=1, recipients=18, aggregators=("local",))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (GOOD, ("delivered", "", NOW)),
        (GOOD | {"status": " DELIVRD\r"}, ("delivered", "", NOW)),
        (GOOD | {"code": None}, ("delivered", "", NOW)),
        (GOOD | {"status": "undelivered", "code": 30006}, ("undelivered", "30006", NOW)),
        (GOOD | {"code": 30006.0}, ("delivered", "30006", NOW)),
        (GOOD | {"code": " 30006"}, ("delivered", "30006", NOW)),
        (GOOD | {"code": "30006\r\n"}, ("delivered", "30006", NOW)),
        (GOOD | {"code": "21610.0"}, ("delivered", "21610", NOW)),
        (GOOD | {"code": 1.5}, ("delivered", "", NOW)),
        (GOOD | {"code": 1e300}, ("delivered", "", NOW)),
        (GOOD | {"code": float("nan")}, ("delivered", "", NOW)),
        (GOOD | {"code": float("inf")}, ("delivered", "", NOW)),
        (GOOD | {"code": "EC.12"}, ("delivered", "EC.12", NOW)),
        (GOOD | {"code": "x" * 900}, ("delivered", "x" * CODE_LIMIT, NOW)),
        (GOOD | {"code": 10**900}, ("delivered", "", NOW)),
        (GOOD | {"code": {"a": 1}}, ("delivered", "", NOW)),
        (GOOD | {"code": True}, ("delivered", "", NOW)),
        (GOOD | {"code": "cut \ud83d"}, ("delivered", "cut ?", NOW)),
        (GOOD | {"at": NOW - 5000}, ("delivered", "", NOW - 5000)),
        (GOOD | {"at": (NOW - 5000) // 1000}, ("delivered", "", NOW - 5000)),
        (GOOD | {"at": "tomorrow"}, ("delivered", "", NOW)),
        (GOOD | {"at": -1}, ("delivered", "", NOW)),
        (GOOD | {"at": "2999-01-01T00:00:00Z"}, ("delivered", "", NOW)),
    ],
)
def test_an_odd_code_or_time_loses_no_receipt(item: dict[str, Any], said: tuple[str, str, int]) -> None:
    assert read_item(item, NOW) == Receipt("1a2b3c4d", 0, 17, *said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("text", "not_an_object"),
        (None, "not_an_object"),
        ({}, "foreign_id"),
        (GOOD | {"id": 5}, "foreign_id"),
        (GOOD | {"id": "SM1234567890abcdef"}, "foreign_id"),
        (GOOD | {"id": "1a2b3c4d-0-\ud83d"}, "foreign_id"),
        (GOOD | {"id": "1a2b3c4d-256-1"}, "foreign_id"),
        (GOOD | {"id": "1a2b3c4d-0-4294967295"}, "foreign_id"),
        ({"id": "1a2b3c4d-0-17"}, "unknown_status"),
        (GOOD | {"status": "perhaps"}, "unknown_status"),
        (GOOD | {"status": 3}, "unknown_status"),
        (GOOD | {"status": None}, "unknown_status"),
    ],
)
def test_what_is_no_receipt_of_ours_is_set_aside(item: Any, why: str) -> None:
    refusal = read_item(item, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.cause == why
    refusal.text.encode()  # it goes into an answer


@pytest.mark.parametrize(
    ("item", "aggregator", "sent", "why"),
    [
        ("1a2b3c4d-0-17", "local", SENT, None),
        ("1a2b3c4d-1-0", "local", SENT, "no_such_message"),
        ("1a2b3c4d-0-18", "local", SENT, "no_such_recipient"),
        ("1a2b3c4d-0-17", "other", SENT, "other_aggregator"),
        ("1a2b3c4d-0-17", "local", Sent(False, 1, 0, ("local",)), "never_launched"),
        ("1a2b3c4d-0-17", "local", Sent(True, 1, 0, ("local",)), None),
        ("1a2b3c4d-0-17", "local", Sent(True, 1, 18, ()), None),
    ],
)
def test_a_receipt_of_what_was_never_sent_or_by_another_aggregator_is_set_aside(
    item: str, aggregator: str, sent: Sent, why: str | None
) -> None:
    receipt = read_item({"id": item, "status": "delivered"}, NOW)
    assert isinstance(receipt, Receipt)
    refusal = misfit(receipt, sent, aggregator)
    assert (refusal.cause if refusal else None) == why


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "status", "code", "at"), _JSON)) | _JSON)
def test_no_item_raises(item: Any) -> None:
    outcome = read_item(item, NOW)
    assert isinstance(outcome, Receipt) or outcome.cause in of_kind("dead letter")
