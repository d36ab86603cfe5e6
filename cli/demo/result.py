"""The demo's result: our figures compared with the aggregator's own record."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

from adapters.settings import Settings
from cli.campaign import wording as campaign_text
from cli.client import Client
from schemas.campaign import SENT_OUT
from schemas.json import JsonObject


def sample(shown: JsonObject, seconds: float) -> JsonObject:
    """One sample of the campaign, `seconds` after its launch."""
    figures = shown["figures"] or {}
    return {
        "seconds": round(seconds, 3),
        "status": shown["status"],
        "states": figures.get("states", {}),
        "submitted": figures.get("submitted", 0),
        "residual": figures.get("residual"),
        "age_seconds": figures.get("age_seconds"),
    }


def count(settings: Settings, api: Client, shown: JsonObject, samples: list[JsonObject]) -> JsonObject:
    """The result of a demo. `lost`: messages that our account says were taken by the aggregator and that
    its record does not have; those of unknown outcome are in neither count (`states.unknown`)."""
    from loadtest.aggregator.submissions import Submissions

    campaign = shown["id"]
    record = Submissions.read(settings.data / "aggregator")
    prefix = f"{campaign}-"
    received = {message_id for message_id in record.received if message_id.startswith(prefix)}
    twice = sum(1 for message_id in record.received_twice if message_id.startswith(prefix))
    result = campaign_text.result(shown)
    unknown = _unknown(api, campaign) if result["states"].get("unknown") else set()
    known = received - unknown
    lost = max(0, (result["submitted"] or 0) - len(known))
    unexpected = max(0, len(known) - (result["submitted"] or 0))
    residuals = [s["residual"] for s in samples if s["residual"] is not None]
    return {
        **result,
        "received": len(received),
        "received_twice": twice,
        "lost": lost,
        "unexpected": unexpected,
        "sent_seconds": next((s["seconds"] for s in samples if s["status"] in SENT_OUT), None),
        "samples": len(residuals),
        "residual_most": max(map(abs, residuals), default=None),
        "track": [{key: value for key, value in sample.items() if key != "states"} for sample in samples],
        "ok": shown["status"] in SENT_OUT and not any((lost, unexpected, twice, *residuals)) and bool(residuals),
    }


def _unknown(api: Client, campaign: str) -> set[str]:
    """Ids of messages whose outcome is unknown."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "unknown.csv"
        api.download(f"/v1/campaigns/{campaign}/export", file, format="csv", state="unknown")
        with file.open(newline="") as rows:
            return {f"{campaign}-{row.get('message', 0)}-{row['ordinal']}" for row in csv.DictReader(rows)}


def lines(result: JsonObject) -> Iterator[str]:
    """The result as text."""
    states = ", ".join(f"{state} {count:,}" for state, count in result["states"].items() if count)
    yield f"{result['campaign']} {result['status']} after {result['seconds']} s: {result['targeted'] or 0:,} targeted"
    yield f"  states             {states}"
    looks = f"at most {result['residual_most']} in {result['samples']} samples"
    yield f"  residual           {result['residual']} ({looks})"
    yield f"  submitted          {result['submitted'] or 0:,} by our figures"
    yield f"  received           {result['received']:,} by the aggregator's own record"
    yield f"  twice, lost        {result['received_twice']:,}, {result['lost']:,}"
    if result["states"].get("unknown"):
        yield "  unknown            interrupted during submission: not sent again; the export lists them"
    yield (
        "  every recipient is accounted for" if result["ok"] else "  NOT every recipient is accounted for, see above"
    )
