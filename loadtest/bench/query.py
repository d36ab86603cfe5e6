"""`longwave bench query`: the figures of one campaign with all states, and the views, through clickhouse-connect.

The recipients are spread over the states at random, which is the dearest case: bitmaps of random ordinals have no
runs. Prices and segments as in the sample: most to one country, one in ten with two segments. All go in through the
table that the writer inserts into, in chunks, and so through the real views, over an hour of the campaign's time. The
list has 5,000 campaigns more.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from adapters.clickhouse import Store, figures, migrate
from adapters.clickhouse.measured import campaigns_behind, insert_figures
from api.figures_source import read_measured
from loadtest.bench.report import Result
from loadtest.bench.stack import private_stack
from pipeline.insight import accounting
from schemas.ids import bucket_sql
from schemas.succession import SHOWN

REQUIRED_MS: Final = 50.0
REPEATS: Final = 25
CAMPAIGNS: Final = 5_000
MINUTES: Final = 60
CHUNK: Final = 1_000_000
CAMPAIGN: Final = "benchqry"
_AT: Final = 1_700_000_000_000
_ONE: Final = f"campaign = '{CAMPAIGN}'"
# (what, milliseconds at most, SQL): what the page, Grafana and a user's own tools ask the views for.
READS: Final = (
    ("one_campaign", 30.0, f"SELECT * FROM campaign_overview WHERE {_ONE}"),
    ("its_messages", 30.0, f"SELECT * FROM message_stats WHERE {_ONE}"),
    ("its_failures", 30.0, f"SELECT * FROM failure_reasons WHERE {_ONE} ORDER BY recipients DESC"),
    ("list_of_5000", 200.0, "SELECT * FROM campaign_overview ORDER BY created DESC"),
    (
        "minutes_of_all",
        100.0,
        "SELECT minute, state, sum(recipients) FROM campaign_minutes "
        f"WHERE minute >= fromUnixTimestamp({_AT // 1000}) GROUP BY minute, state",
    ),
    ("its_minutes", 100.0, f"SELECT minute, state, recipients FROM campaign_minutes WHERE {_ONE}"),
)
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
            fill(store, recipients)
            _fill_list(store)
            return _result(store, recipients, time.perf_counter() - began)
        finally:
            store.close()


def _result(store: Store, recipients: int, fill_seconds: float) -> Result:
    bare = _milliseconds(store.ping)
    figure = _milliseconds(lambda: accounting.figures(figures.message_sets(store, CAMPAIGN)[0]))
    limit = _milliseconds(lambda: store.rows("SELECT groupBitmapMerge(ordinals) FROM state_sets"))
    totals = accounting.figures(figures.message_sets(store, CAMPAIGN)[0])
    reads = {what: round(statistics.median(_milliseconds(_reading(store, sql))), 2) for what, _, sql in READS}
    middle = statistics.median(figure)
    ids = [row[0] for row in store.rows("SELECT toString(id) FROM campaigns")]
    first_list = _milliseconds(lambda: read_measured(store, ids))
    next_lists = _milliseconds(lambda: campaigns_behind(store))
    return Result(
        name="query",
        figure=round(middle, 2),
        unit="ms",
        limit=round(statistics.median(limit), 2),
        ratio=round(statistics.median(limit) / middle, 3),
        required=f"<= {REQUIRED_MS:.0f} ms, residual 0, views {', '.join(f'{most:.0f}' for _, most, _ in READS)} ms",
        ok=middle <= REQUIRED_MS and totals.residual == 0 and all(reads[what] <= most for what, most, _ in READS),
        inputs={"recipients": recipients, "repeats": REPEATS, "sets": len(STATES)},
        details={
            "limit_is": "one union of the same bitmaps, same connection",
            "select_1_ms": round(statistics.median(bare), 2),
            "views_ms": reads,
            "api_list_after_start_ms": round(statistics.median(first_list), 1),
            "api_list_ms": round(statistics.median(next_lists), 1),
            "figures_ms": [round(milliseconds, 1) for milliseconds in sorted(figure)],
            "fill_seconds": round(fill_seconds, 1),
            "states": dict(totals.states),
            "residual": totals.residual,
            "spend": totals.spend,
        },
    )


def _reading(store: Store, sql: str) -> Callable[[], object]:
    return lambda: store.rows(sql)


def _milliseconds(call: Callable[[], Any]) -> list[float]:
    for _ in range(3):
        call()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def fill(store: Store, recipients: int) -> None:
    """A frozen audience and statuses of all kinds, through the table that the writer inserts into."""
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


def _fill_list(store: Store) -> None:
    """The campaign's document and measured figures, and those of 5,000 others, each with 20 reasons."""
    insert_figures(store, [accounting.figures(sets) for sets in figures.message_sets(store, CAMPAIGN)])
    store.command(
        f"""INSERT INTO campaigns SELECT if(number = 0, '{CAMPAIGN}', leftPad(toString(number), 8, '0')),
        concat('Sale ', toString(number)), ['spring', 'sale'], 'demo', 'main', 'finished', '',
        began, began, began, began, 2000, 5, repeat('x', 2000) FROM
        (
            SELECT number, fromUnixTimestamp64Milli({_AT} + number * 1000) AS began FROM numbers({CAMPAIGNS + 1})
        )"""
    )
    states = ", ".join(f"toUInt32(100 + number % {place})" for place, _ in enumerate(SHOWN, 1))
    store.command(
        f"""INSERT INTO message_figures (campaign, message, targeted, {", ".join(SHOWN)}, reasons.state,
        reasons.reason, reasons.recipients, newest_at, inserted_at)
        SELECT leftPad(toString(number + 1), 8, '0'), 0, 2000, {states}, arrayResize(['rejected'], 20, 'skipped'),
        arrayMap(i -> concat('code:', toString(i)), range(20)), range(20), fromUnixTimestamp64Milli({_AT}),
        fromUnixTimestamp64Milli({_AT}) FROM numbers({CAMPAIGNS})"""
    )


def _groups(state: str, reasons: tuple[str, ...], attempt: int, reached: str, first: int, count: int) -> str:
    """Rows of 500 ordinals, as the lanes send them, spread over an hour."""
    at = f"fromUnixTimestamp64Milli(any({_AT} + intDiv(number % {CHUNK}, 4000) % {MINUTES} * 60000))"
    reason = f"{list(reasons)}[1 + cityHash64(number, 4) % {len(reasons)}]"
    return f"""
        INSERT INTO status_groups (campaign, message, at, lane, state, reason, attempt, segments, price, ordinals)
        SELECT {{campaign:String}}, 0, {at}, 0, '{state}', {reason} AS why, {attempt},
            {_SEGMENTS} AS parts, {_PRICE} AS each, groupArray(toUInt32(number))
        FROM (SELECT number, {_HASH} AS h FROM numbers({first}, {count})) WHERE {reached}
        GROUP BY why, parts, each, intDiv(number, 4000)"""
