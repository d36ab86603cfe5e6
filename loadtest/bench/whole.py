"""`longwave bench whole`: one campaign the whole way, from the launch to the last message at the aggregator.

Everything is durable and every guarantee is on; receipts are off. The bare limit is `bench pipe`: the same bytes
over the same hops with no logic, measured in the same run.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import numpy as np

from loadtest.bench import pipe
from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from loadtest.bench.watch import Watch

REQUIRED = 20_000.0
LIST = "bench"
FRESHNESS = "longwave_freshness_seconds"
QUANTILES = {"p50": 0.5, "p95": 0.95}
WARM_UP = 5000


def run(recipients: int = 1_000_000, workers: int = 1, lanes: int = 1) -> Result:
    """Send one campaign to `recipients` and count what arrived."""
    limit = pipe.measure(recipients=min(recipients, 500_000))
    with private_stack(_settings(lanes), workers=workers) as stack:
        fill(stack.settings, LIST, recipients)
        api = Api(stack.settings)
        _warm_up(stack, api)
        before, wall = stack.cpu_seconds(), time.monotonic()
        campaign = api.launch("bench whole", [LIST])
        seconds = 60 + recipients / 2000
        with Watch(stack, campaign, workers=workers) as watch:
            wait_until("all have arrived", lambda: stack.accepted() >= WARM_UP + recipients, seconds, pause=0.2)
        wait_until("the campaign is sent", lambda: _sent(api, campaign), 60, pause=0.5)
        cpu = {name: round(used - before[name], 1) for name, used in stack.cpu_seconds().items()}
        shown = api.show(campaign)
        details = _details(stack, shown) | {
            "cpu_seconds": cpu,
            "wall_seconds": round(time.monotonic() - wall, 1),
            "memory_mb": stack.memory_mb(),
            "freshness_seconds": _freshness(watch),
        }
    rate = details["received"] / details["seconds"]
    whole = details["received"] == details["targeted"] == details["accepted"]
    exact = whole and not details["residual"] and not details["received_twice"]
    return Result(
        name="whole",
        figure=round(rate, 1),
        unit="recipients/s",
        limit=round(limit, 1),
        ratio=round(rate / limit, 3),
        required=f">= {REQUIRED:,.0f} recipients/s, nobody lost, nobody twice",
        ok=rate >= REQUIRED and exact,
        inputs={"recipients": recipients, "workers": workers, "lanes": lanes, "receipts": False},
        details=details,
    )


def _freshness(watch: Watch) -> dict[str, float]:
    """How old (s) the figures were while messages went out, by one look a second."""
    ages = [look.metrics[FRESHNESS] for look in watch.looks if FRESHNESS in look.metrics]
    return {name: round(float(np.quantile(ages, share)), 2) for name, share in QUANTILES.items()} if ages else {}


def _settings(lanes: int) -> str:
    numbers = list(range(lanes))
    return f"""
[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 1000000
lanes = {numbers}
"""


def _warm_up(stack: Stack, api: Api) -> None:
    """A small campaign first: connections, compiled templates and page caches are not what is measured."""
    fill(stack.settings, "warm", WARM_UP, first=13_125_000_000)
    campaign = api.launch("warm up", ["warm"])
    wait_until("the warm-up campaign is sent", lambda: _sent(api, campaign), 60)


def _sent(api: Api, campaign: str) -> bool:
    return api.show(campaign)["status"] in {"sent", "finished"}


def _details(stack: Stack, shown: dict[str, Any]) -> dict[str, Any]:
    submissions = stack.submissions()
    mine = [n for n, message_id in enumerate(submissions.ids) if message_id.startswith(shown["id"])]
    launched = datetime.fromisoformat(shown["launched"]).timestamp()
    first, last = (submissions.times[mine[n]] / 1e9 - launched for n in (0, -1))
    figures = shown["figures"]
    return {
        "seconds": round(last, 3),
        "seconds_to_first": round(first, 3),
        "targeted": figures["targeted"],
        "accepted": figures["states"]["accepted"],
        "residual": figures["residual"],
        "received": len({submissions.ids[n] for n in mine}),
        "received_twice": len(submissions.received_twice),
    }
