"""`longwave bench query`: the figures of one campaign with all states, through clickhouse-connect and HTTP.

The recipients are spread over the states at random, which is the dearest case: bitmaps of random ordinals have no
runs. Prices and segments as in the sample: most to one country, one in ten with two segments. All go in through the
table that the writer inserts into, in chunks, and so through the real views.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from adapters.clickhouse import Store, figures, migrate
from loadtest.bench.report import Result
from loadtest.bench.stack import private_stack
from pipeline.insight import accounting
from schemas.ids import bucket_sql

REQUIRED_MS: Final = 50.0
REPEATS: Final = 25
CHUNK: Final = 1_000_000
CAMPAIGN: Final = "benchqry"
_AT: Final = 1_700_000_000_000
_HASH: Final = "cityHash64(number, 1) % 1000"
_SEGMENTS: Final = "1 + (cityHash64(number, 2) % 10 = 0)"
_PRICE: Final = (
    "transform(cityHash64(number, 3) % 20, [0, 1, 2, 3, 4, 5], [40000, 40000, 40000, 79800, 79800, 83200], 7900)"
)

# (state, reasons, attempt, which thousandths of the recipients ever reached it). A delivered recipient was queued, in
# flight and accepted before.
STATES: Final = (
    ("skipped", ("opted_out", "smart_sending", "invalid"), 0, "h < 50"),
    ("delayed", ("quiet_hours",), 0, "h BETWEEN 50 AND 299"),
    ("queued", ("",), 0, "h BETWEEN 60 AND 979"),
    ("in_flight", ("",), 0, "h BETWEEN 70 AND 949"),
    ("delayed", ("throttled",), 1, "h BETWEEN 200 AND 249"),
    ("queued", ("",), 1, "h BETWEEN 205 AND 249"),
    ("in_flight", ("",), 1, "h BETWEEN 210 AND 249"),
    ("canceled", ("",), 0, "h BETWEEN 970 AND 974"),
    ("expired", ("deadline",), 0, "h BETWEEN 975 AND 979"),
    ("unknown", ("owner_lost",), 0, "h BETWEEN 930 AND 939"),
    ("rejected", ("bad_number", "blocked"), 0, "h BETWEEN 250 AND 279"),
    ("accepted", ("",), 0, "h BETWEEN 300 AND 929 OR h BETWEEN 80 AND 199 OR h BETWEEN 215 AND 249 OR h = 939"),
    ("delivered", ("",), 0, "h BETWEEN 350 AND 849 OR h = 939"),
    ("undelivered", ("absent_subscriber", "blocked", "unknown_error"), 0, "h BETWEEN 850 AND 899"),
    ("clicked", ("",), 0, "h BETWEEN 400 AND 439"),
    ("clicked", ("preview",), 0, "h BETWEEN 420 AND 449"),
    ("withdrawn", ("",), 0, "h >= 990"),
)


def run(recipients: int = 10_000_000) -> Result:
    """Fill a ClickHouse of its own and measure.

    Raises:
        StoreError: ClickHouse failed. RuntimeError: it did not start.
    """
    with private_stack("", only=("clickhouse",)) as stack:
        migrate(stack.settings)
        store = Store(stack.settings.clickhouse)
        try:
            began = time.perf_counter()
            _fill(store, recipients)
            return _result(store, recipients, time.perf_counter() - began)
        finally:
            store.close()


def _result(store: Store, recipients: int, fill_seconds: float) -> Result:
    bare = _milliseconds(store.ping)
    figure = _milliseconds(lambda: accounting.figures(figures.message_sets(store, CAMPAIGN)[0]))
    limit = _milliseconds(lambda: store.rows("SELECT groupBitmapMerge(ordinals) FROM state_sets"))
    found = accounting.figures(figures.message_sets(store, CAMPAIGN)[0])
    middle = statistics.median(figure)
    return Result(
        name="query",
        figure=round(middle, 2),
        unit="ms",
        limit=round(statistics.median(limit), 2),
        ratio=round(statistics.median(limit) / middle, 3),
        required=f"<= {REQUIRED_MS:.0f} ms, residual 0",
        ok=middle <= REQUIRED_MS and found.residual == 0,
        inputs={"recipients": recipients, "repeats": REPEATS, "sets": len(STATES)},
        details={
            "limit_is": "one union of the same bitmaps, same connection",
            "select_1_ms": round(statistics.median(bare), 2),
            "figures_ms": [round(one, 1) for one in sorted(figure)],
            "fill_seconds": round(fill_seconds, 1),
            "states": dict(found.states),
            "residual": found.residual,
            "spend": found.spend,
        },
    )


def _milliseconds(call: Callable[[], Any]) -> list[float]:
    for _ in range(3):
        call()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _fill(store: Store, recipients: int) -> None:
    key = {"campaign": CAMPAIGN}
    store.command(
        f"""INSERT INTO audience SELECT {{campaign:String}}, 1, 1, number, 10000000000 + number, 'US', 'NY',
        'America/New_York', [] FROM (SELECT number, {bucket_sql("number")} FROM numbers({recipients}))""",
        key,
    )
    store.command(
        "INSERT INTO audiences (campaign, revision, attempt, recipients) "
        f"SELECT {{campaign:String}}, 1, 1, {recipients}",
        key,
    )
    for first in range(0, recipients, CHUNK):
        for state, reasons, attempt, reached in STATES:
            store.command(_groups(state, reasons, attempt, reached, first, min(CHUNK, recipients - first)), key)
    store.command("OPTIMIZE TABLE state_sets FINAL")


def _groups(state: str, reasons: tuple[str, ...], attempt: int, reached: str, first: int, count: int) -> str:
    """Rows of 500 ordinals, as the lanes send them."""
    reason = f"{list(reasons)}[1 + cityHash64(number, 4) % {len(reasons)}]"
    return f"""
        INSERT INTO status_groups (campaign, message, at, lane, state, reason, attempt, segments, price, ordinals)
        SELECT {{campaign:String}}, 0, fromUnixTimestamp64Milli({_AT}), 0, '{state}', {reason} AS why, {attempt},
            {_SEGMENTS} AS parts, {_PRICE} AS each, groupArray(toUInt32(number))
        FROM (SELECT number, {_HASH} AS h FROM numbers({first}, {count})) WHERE {reached}
        GROUP BY why, parts, each, intDiv(number, 4000)"""
