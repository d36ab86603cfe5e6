"""Contacts and campaigns for benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from adapters.clickhouse import Store
from adapters.settings import Settings
from cli.client import api_of
from schemas.ids import bucket_sql

FIRST_NUMBER = 12_125_000_000
TEXT = "Hi {first_name|there}, {city|your town}'s sale ends Sunday: {link}"


def fill(settings: Settings, name: str, count: int, first: int = FIRST_NUMBER) -> None:
    """`count` contacts with two attributes in list `name`, made in ClickHouse itself."""
    store = Store(settings.clickhouse)
    names = "['Ana','Marguerite','Bo','Theodora','Kim','Oluwaseun','Lea','Christopher']"
    cities = "['Philadelphia','Reno','Saint Paul','Boston','Yuma','Albuquerque','Erie']"
    store.command(
        f"""INSERT INTO contacts (number, bucket, country, region, zone, attributes, updated)
        SELECT {first} + number AS n, {bucket_sql("n")}, 'US', 'NY', 'America/New_York',
        map('first_name', {names}[1 + cityHash64(n) % 8], 'city', {cities}[1 + cityHash64(n, 1) % 7]),
        now64(3) FROM numbers({count})"""
    )
    store.command(
        f"""INSERT INTO list_members (list, bucket, number, added)
        SELECT '{name}', {bucket_sql("n")}, {first} + number AS n, now64(3) FROM numbers({count})"""
    )
    store.close()


class Api:
    """The REST API as a benchmark needs it."""

    def __init__(self, settings: Settings) -> None:
        self._client = api_of(settings, timeout=60.0)

    def launch(self, name: str, lists: list[str], **spec: Any) -> str:
        """Create and launch; the campaign's id."""
        message = {"text": TEXT, "links": {"default": "https://shop.example/sale"}}
        body = {"name": name, "audience": {"lists": lists}, "messages": [message], **spec}
        campaign: str = self._client.send("POST", "/v1/campaigns", orjson.dumps(body))["id"]
        self._client.send("POST", f"/v1/campaigns/{campaign}/launch", b"")
        return campaign

    def act(self, campaign: str, action: str) -> None:
        """Pause, resume, cancel or launch."""
        self._client.send("POST", f"/v1/campaigns/{campaign}/{action}", b"")

    def launch_copy(self, campaign: str) -> str:
        """Duplicate and launch; the copy's id."""
        copy: str = self._client.send("POST", f"/v1/campaigns/{campaign}/duplicate", b"{}")["id"]
        self.act(copy, "launch")
        return copy

    def show(self, campaign: str) -> dict[str, Any]:
        return self._client.get(f"/v1/campaigns/{campaign}")


def wait_until(what: str, reached: Callable[[], bool], seconds: float, pause: float = 0.1) -> None:
    """Poll until `reached`.

    Raises:
        RuntimeError: it was not within `seconds`.
    """
    until = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > until:
            raise RuntimeError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
