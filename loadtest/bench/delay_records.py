"""WORK records as eligibility writes them, made quickly: 10,000,000 recipients are 20,000 of them."""

from __future__ import annotations

import random
from collections.abc import Iterable

import orjson

from adapters.kafka.bulk import BulkWriter
from loadtest.bench.campaigns import FIRST_NUMBER
from schemas import topics
from schemas.lane import Control, LaneMessage, LaneSettings
from schemas.wire import CHUNK_LIMIT, encode

NAMES = ("Ana", "Marguerite", "Bo", "Theodora", "Kim", "Oluwaseun", "Lea", "Christopher")
CITIES = ("Philadelphia", "Reno", "Saint Paul", "Boston", "Yuma", "Albuquerque", "Erie")
ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
TEXT = "Hi {first_name|there}, {city|your town}'s sale ends Sunday"
DRAWN = 64


class Template:
    """Chunks of `size` recipients of one campaign: numbers, names, cities and segments are drawn once and come in
    attempts, ordinals and due times are each record's own."""

    def __init__(self, campaign: str, seed: int, size: int = CHUNK_LIMIT) -> None:
        draw = random.Random(seed)
        self._campaign = campaign
        self._size = size
        self._tails = [orjson.dumps(_columns(draw, size))[1:] for _ in range(DRAWN)]
        self._next = 0

    def record(self, first: int, at: int, dues: list[tuple[int, int]], step: int = 1) -> bytes:
        """A WORK of ordinals first, first + step, …; `dues` as in the record."""
        head = {
            "v": 1,
            "campaign": self._campaign,
            "account": "demo",
            "sender": "main",
            "at": at,
            "dues": dues,
            "reasons": ["send_time"] * len(dues),
            "ordinals": list(range(first, first + self._size * step, step)),
        }
        self._next += 1
        return orjson.dumps(head)[:-1] + b"," + self._tails[self._next % DRAWN]


def _columns(draw: random.Random, size: int) -> dict[str, object]:
    return {
        "message": 0,
        "numbers": [FIRST_NUMBER + draw.randrange(800_000_000) for _ in range(size)],
        "segments": draw.choices([1, 1, 1, 2], k=size),
        "prices": [7900] * size,
        "zones": [f"{zone}/US/NY" for zone in ZONES],
        "zone": sorted(draw.choices(range(4), k=size)),
        "fields": {"first_name": draw.choices(NAMES, k=size), "city": draw.choices(CITIES, k=size)},
        "kind": "work",
    }


def control(campaign: str, at: int) -> Control:
    """The campaign runs; at any hour, so that the time of day on which a benchmark runs does not matter."""
    settings = LaneSettings(
        messages=[LaneMessage(text=TEXT, links=[])],
        priority="normal", weight=1, deadline=None, unknown="skip", transactional=True,
    )  # fmt: skip
    return Control(campaign=campaign, revision=1, state="running", settings=settings, at=at)


class LaneWriter:
    """Writes into lanes."""

    def __init__(self, bootstrap: str) -> None:
        self._writer = BulkWriter(bootstrap)

    def controls(self, campaign: str, at: int, lanes: Iterable[int]) -> None:
        for lane in lanes:
            self.write(lane, encode(control(campaign, at)))

    def write(self, lane: int, value: bytes) -> None:
        self._writer.write(topics.LANES.name, lane, value)

    def flush(self) -> None:
        """Wait for the broker (see `BulkWriter.flush`)."""
        self._writer.flush()
