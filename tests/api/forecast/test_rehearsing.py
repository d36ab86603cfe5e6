"""Which campaigns reserve before another one, in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from api.forecast.rehearsing import _pending
from schemas.campaign import CampaignDocument
from tests.pipeline.campaigns import HOUR, NOW, document


def campaign(name: str, status: str, pending: int | None = None, **changes: Any) -> tuple[CampaignDocument, Any]:
    figures = None if pending is None else SimpleNamespace(figures={"states": {"pending": pending}})
    return document(status, id=name, **changes), figures


def test_what_has_reserved_or_comes_later_is_left_out() -> None:
    actual = [
        campaign("0000000b", "scheduled", begins=NOW + 2 * HOUR, launched=NOW - HOUR),
        campaign("0000000c", "scheduled", begins=NOW + 4 * HOUR, launched=NOW - HOUR),
        campaign("0000000d", "processing", launched=NOW),
        campaign("0000000e", "sending", 0, launched=NOW - HOUR),
        campaign("0000000f", "sending", 5, launched=NOW - 2 * HOUR),
        campaign("0000000g", "paused", None, launched=NOW - 3 * HOUR),
        campaign("0000000h", "finished", 0),
        campaign("0000000j", "draft"),
        campaign("0000000k", "processing", launched=NOW),
    ]
    services: Any = SimpleNamespace(
        campaigns=SimpleNamespace(all=lambda: [document for document, _ in actual]),
        figures=SimpleNamespace(latest={document.id: figures for document, figures in actual}.get),
    )
    pending = [document.id for document in _pending(services, NOW + 3 * HOUR, but="0000000k")]
    assert pending == ["0000000g", "0000000f", "0000000d", "0000000b"]
