"""Receipts to states with reasons."""

from __future__ import annotations

import pytest

from pipeline.feedback.receipts import statuses
from schemas.carrier_codes import reason_of_code
from schemas.feedback import ReceiptBatch
from schemas.status import STATUSES
from schemas.wire import encode


def batch(*rows: tuple[int, str, str]) -> ReceiptBatch:
    return ReceiptBatch(
        campaign="0000000a",
        message=1,
        received=77,
        ordinals=[row[0] for row in rows],
        states=[row[1] for row in rows],
        codes=[row[2] for row in rows],
        times=[5] * len(rows),
    )


def test_one_group_per_state_and_reason() -> None:
    chunk = statuses(
        batch((1, "delivered", ""), (2, "undelivered", "30006"), (3, "delivered", ""), (4, "undelivered", "30003"))
    )
    assert chunk is not None
    assert STATUSES.decode(encode(chunk)) == chunk
    assert (chunk.campaign, chunk.message, chunk.at, chunk.lane) == ("0000000a", 1, 77, -1)
    assert [(g.state, g.reason, g.ordinals) for g in chunk.groups] == [
        ("delivered", "", [1, 3]),
        ("undelivered", "landline", [2]),
        ("undelivered", "absent_subscriber", [4]),
    ]


def test_an_empty_batch_gives_nothing() -> None:
    assert statuses(batch()) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", ""),
        ("30007", "filtered"),
        ("21614", "not_a_mobile"),
        ("expired", "expired_at_carrier"),
        ("99", "code:99"),
        ("a b\n'", "code:a_b__"),
        ("x" * 99, "code:" + "x" * 32),
    ],
)
def test_reasons(code: str, reason: str) -> None:
    assert reason_of_code(code) == reason
