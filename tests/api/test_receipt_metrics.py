"""What the ingress counts of receipts: by state and reason, and how late they arrive."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client import REGISTRY

from adapters.aggregators.factory import make_callbacks
from adapters.ports import Delivered
from adapters.settings import Settings
from api.ingress.receipts import Receipts
from tests.accounts import book

NOW = 1_760_000_000_000


class Taking:
    """An emitter that acknowledges all."""

    async def emit(self, *args: Any, **kwargs: Any) -> Delivered:
        return Delivered(0, 0)


class NoCampaigns:
    def get(self, campaign: str) -> None:
        return None


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"aggregator": "local", **labels}) or 0.0


def item(ordinal: int, status: str, code: str = "", at: int = NOW) -> dict[str, Any]:
    return {"id": f"1a2b3c4d-0-{ordinal}", "status": status, "code": code, "at": at}


def counted() -> dict[str, float]:
    """Everything that this test looks at; the registry is the whole process's."""
    return {
        **{
            state: value("longwave_receipts_total", state=state) for state in ("delivered", "undelivered", "rejected")
        },
        **{
            reason: value("longwave_message_failures_total", stage="receipt", reason=reason)
            for reason in ("landline", "code", "other")
        },
        "delays": value("longwave_receipt_delay_seconds_count"),
        "seconds": value("longwave_receipt_delay_seconds_sum"),
    }


async def test_receipts_are_counted_by_state_and_failures_by_reason() -> None:
    settings = Settings()
    receipts = Receipts(book(), Taking(), NoCampaigns(), make_callbacks(settings.aggregators))
    labels = {"aggregator": "local", "state": "delivered"}
    assert REGISTRY.get_sample_value("longwave_receipts_total", labels) is not None, "shown before the first receipt"
    before = counted()
    items = [
        item(1, "delivered", at=NOW - 40_000),
        item(2, "delivered"),
        item(3, "undelivered", "30006"),
        item(4, "undelivered", "no-such-code"),
        item(5, "rejected"),
        item(6, "nonsense"),
    ]
    await receipts.take(json.dumps({"receipts": items}).encode(), NOW, "local")
    assert {name: count - before[name] for name, count in counted().items()} == {
        "delivered": 2,
        "undelivered": 2,
        "rejected": 1,
        "landline": 1,
        "code": 1,
        "other": 1,
        "delays": 1,
        "seconds": 40,
    }
    await receipts.close()
