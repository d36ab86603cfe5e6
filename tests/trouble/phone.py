"""People who text us, and what arrives at their phones."""

from __future__ import annotations

import itertools
import json
import urllib.request

from adapters.aggregators import signing
from adapters.clock import now_ms
from loadtest.aggregator.record import entries
from tests.trouble.scene import Scene

_ids = itertools.count()


def says(stage: Scene, *texts: tuple[int, str], to: str = "+18885550100", again: str = "") -> list[str]:
    """People text our number `to`; returns when the ingress has taken it, which it has only when Kafka has. The
    texts' ids; `again`: the id of a text that comes once more."""
    ids = [again or f"test-{next(_ids)}" for _ in texts]
    items = [
        {"id": item, "from": f"+{number}", "to": to, "text": text}
        for item, (number, text) in zip(ids, texts, strict=True)
    ]
    body = json.dumps({"texts": items}).encode()
    secret = stage.settings.aggregators["local"].secret.get_secret_value().encode()
    url = f"{stage.settings.ingress.url}/v1/inbound/local"
    request = urllib.request.Request(url, body, signing.signed(secret, now_ms(), body))
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202
    return ids


def got(stage: Scene, number: int, campaign: str) -> list[str]:
    """Texts of a campaign that arrived at a number, oldest first."""
    return [
        message.text
        for entry in entries(stage.data / "aggregator")
        for message in entry.batch().messages
        if message.to == f"+{number}" and message.id.startswith(f"{campaign}-")
    ]
