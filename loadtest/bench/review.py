"""`longwave bench review`: what reviews promise, held against what became of the campaigns, on a real stack.

Each case is reviewed, launched and waited for; the review's skips by reason must be the run's, exactly, and its cost
the run's spend within 1 %.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from cli.client import Client, api_of
from cli.main import run as command
from loadtest.bench.campaigns import fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from loadtest.sample.contacts import Recipe, write
from schemas.succession import UNSENT

WITHIN: Final = 0.01
SETTINGS: Final = """
[accounts.demo]
site_name = "Harbor & Pine"
caps = { week = 2 }
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 5000
lanes = [0, 1]
"""
TEXT: Final = "Hi {first_name|there} of {city}, our sale ends on Sunday: {link}"
LINKS: Final = {"default": "https://shop.example/"}
TYPED: Final = ("+33612345678", "+919876543210", "+447911123456", "+13055550100", "+4915123456789")


@dataclass(frozen=True, slots=True)
class Compared:
    """One campaign: what its review said, and what happened. Costs in credits."""

    id: str
    name: str
    recipients: int
    promised: dict[str, int]
    happened: dict[str, int]
    sendable: int
    handed_over: int
    cost: float
    spend: float
    seconds: float

    @property
    def off(self) -> float:
        """How far the cost is from the spend."""
        return abs(self.cost - self.spend) / self.spend if self.spend else float(self.cost > 0)

    @property
    def ok(self) -> bool:
        return self.promised == self.happened and self.sendable == self.handed_over and self.off <= WITHIN

    def row(self) -> str:
        """A line of a Markdown table."""
        skips = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.promised.items())) or "–"
        ran = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.happened.items())) or "–"
        return (
            f"| {self.name} | {self.recipients:,} | {skips} | {ran} | {self.sendable:,} / {self.handed_over:,} "
            f"| {self.cost:,.2f} / {self.spend:,.2f} | {self.off:.2%} |"
        )


HEADER: Final = (
    "| campaign | recipients | skips, review | skips, run | handed over, review / run | credits, review / run | off |"
    "\n"
    "|---|---|---|---|---|---|---|"
)


def compare(api: Client, spec: dict[str, Any], seconds: float = 90.0) -> Compared:
    """Review a campaign, launch it, wait until it is sent, and put both beside each other."""
    campaign: str = api.send("POST", "/v1/campaigns", orjson.dumps(spec))["id"]
    begun = time.monotonic()
    review = api.get(f"/v1/campaigns/{campaign}/review")
    took = time.monotonic() - begun
    api.send("POST", f"/v1/campaigns/{campaign}/launch", b"", allow_empty=True)
    shown = wait_over(api, campaign, seconds)
    figures = shown["figures"]
    promised: Counter[str] = Counter(review["skipped"])
    if review["expiring"]:
        promised["deadline"] = review["expiring"]
    happened = {
        figure["reason"]: figure["count"]
        for figure in figures["reasons"]
        if figure["state"] in ("skipped", "expired")
    }
    # What the aggregator refuses is not billed, and no review can know it.
    refused = figures["states"]["rejected"]
    share = 1.0 if not figures["submitted"] else figures["submitted"] / max(1, figures["submitted"] - refused)
    return Compared(
        id=campaign,
        name=spec["name"],
        recipients=figures["targeted"],
        promised=dict(promised),
        happened=happened,
        sendable=review["sendable"],
        handed_over=figures["submitted"],
        cost=review["cost"] / 1e6,
        spend=figures["spend"] * share,
        seconds=took,
    )


def wait_over(api: Client, campaign: str, seconds: float) -> dict[str, Any]:
    """The campaign once everybody has been handed over or skipped, with figures that have all of them."""
    review: dict[str, Any] = {}

    def is_over() -> bool:
        review.update(api.get(f"/v1/campaigns/{campaign}"))
        figures = review["figures"]
        return (
            review["status"] in ("sent", "finished")
            and bool(figures)
            and figures["targeted"] == review["recipients"]
            and not any(figures["states"][state] for state in UNSENT)
        )

    wait_until(f"{campaign} is sent", is_over, seconds, pause=0.3)
    return review


def run(recipients: int = 20_000, large: int = 1_000_000) -> Result:
    """Compare every case, and time the review of an audience of `large`."""
    with private_stack(SETTINGS) as stack, TemporaryDirectory() as folder:
        rows = _cases(stack, Path(folder), recipients)
        took = _time_large(stack, large)
        memory = stack.memory_mb()
    worst = max(row.off for row in rows)
    return Result(
        name="review",
        figure=round(worst, 5),
        unit="of the spend, the farthest that a review's cost was off",
        limit=None,
        ratio=None,
        required=f"skips by reason exact, cost within {WITHIN:.0%}",
        ok=all(row.ok for row in rows),
        inputs={"recipients": recipients, "text": TEXT},
        details={
            "slowest_review_seconds": round(max(row.seconds for row in rows), 2),
            f"review_of_{large}_seconds": round(took, 1),
            "memory_mb": memory,
            "table": "\n".join(["", HEADER, *(row.row() for row in rows)]),
        },
    )


def _time_large(stack: Stack, recipients: int) -> float:
    fill(stack.settings, "large", recipients)
    api = api_of(stack.settings, timeout=120.0)
    campaign = api.send("POST", "/v1/campaigns", orjson.dumps(_spec("large", lists=["large"])))["id"]
    begun = time.monotonic()
    review = api.get(f"/v1/campaigns/{campaign}/review")
    took = time.monotonic() - begun
    if review["recipients"] != recipients:
        raise RuntimeError(f"the review counted {review['recipients']:,} of {recipients:,} recipients")
    return took


def _cases(stack: Stack, folder: Path, recipients: int) -> list[Compared]:
    people = folder / "people.csv"
    write(Recipe(recipients, seed=5, opted_out=0.05), people)
    lines = people.read_text().splitlines(keepends=True)
    half, odd = folder / "half.csv", folder / "odd.csv"
    half.write_text("".join(lines[: len(lines) // 2]))
    odd.write_text("phone,first_name\n" + "".join(f"+1212555{n:04},{_odd_name(n)}\n" for n in range(100, 200)))
    for name, file in (("half", half), ("people", people), ("odd", odd)):
        assert command(["contacts", "import", str(file), "--list", name]) == 0
    api = api_of(stack.settings)
    soon = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    return [
        compare(api, _spec("half of the list, first", lists=["half"], smart_sending_hours=24)),
        compare(api, _spec("all of it, within 24 h", lists=["people"], smart_sending_hours=24)),
        compare(api, _spec("all of it, no window", lists=["people"], smart_sending_hours=0)),
        compare(api, _spec("all of it, no window, cap of 2 a week", lists=["people"], smart_sending_hours=0)),
        compare(api, _spec("half of it: nobody is left", lists=["half"], smart_sending_hours=24)),
        compare(api, _spec("typed numbers of five countries", numbers=list(TYPED), text="Sale: {link}")),
        compare(api, _spec("a name alone, long and odd values", lists=["odd"], text="{first_name}", deadline=soon)),
    ]


def _odd_name(n: int) -> str:
    return ("", "Łukasz", "x" * 3000, "Ann", "!")[n % 5]


def _spec(name: str, *, lists: list[str] | None = None, numbers: list[str] | None = None, **changes: Any) -> Any:
    text = changes.pop("text", TEXT)
    audience = {"lists": lists or [], "numbers": numbers or []}
    return {"name": name, "audience": audience, "messages": [{"text": text, "links": LINKS}], **changes}
