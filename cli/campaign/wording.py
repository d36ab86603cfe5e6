"""A campaign as text for the terminal, and as the JSON result of all commands that run campaigns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.json import JsonObject
from schemas.reasons import in_words

CREDIT = 1_000_000
SHOWN_ITEMS = 20
"""Of the items of a list that a file changes."""


def residual(shown: JsonObject) -> int | None:
    """Targeted minus the sum of states; None before the first figures."""
    return shown["figures"]["residual"] if shown["figures"] else None


def result(shown: JsonObject) -> JsonObject:
    """The JSON result: campaign, status, targeted, states, residual, submitted, seconds. `received`, `received_twice`
    and `lost` are None here; the demo and the benches fill them from the aggregator's own record."""
    figures = shown["figures"] or {}
    return {
        "campaign": shown["id"],
        "name": shown["name"],
        "status": shown["status"],
        "outcome": shown.get("outcome", ""),
        "outcome_why": shown.get("outcome_why", ""),
        "targeted": figures.get("targeted"),
        "states": figures.get("states", {}),
        "residual": figures.get("residual"),
        "submitted": figures.get("submitted"),
        "received": None,
        "received_twice": None,
        "lost": None,
        "seconds": seconds(shown),
        "segments": figures.get("segments"),
        "spend": figures.get("spend"),
        "as_of": figures.get("as_of"),
    }


def seconds(shown: JsonObject) -> float | None:
    """Seconds from launch to finish; None if the campaign has not finished."""
    from datetime import datetime

    if not shown["launched"] or not shown["finished"]:
        return None
    span = datetime.fromisoformat(shown["finished"]) - datetime.fromisoformat(shown["launched"])
    return round(span.total_seconds(), 3)


def progress_line(shown: JsonObject) -> str:
    """`sending  43,210 of 100,000 submitted (43.2 %)  5,012/s  residual 0  figures 0.4 s old`."""
    figures = shown["figures"]
    status = f"{status_of(shown):<10}" + (f" ({shown['reason_text']})" if shown["reason"] else "")
    if not figures or not figures["targeted"]:
        return f"{status} {_trouble(shown)}".rstrip()
    share = 100 * figures["submitted"] / figures["targeted"]
    return (
        f"{status} {figures['submitted']:,} of {figures['targeted']:,} submitted ({share:.1f} %)  "
        f"{shown['rate']:,.0f}/s  residual {figures['residual']:,}  figures {figures['age_seconds']} s old"
        f"{_trouble(shown)}"
    )


def status_of(shown: JsonObject) -> str:
    """The status, with the outcome of a campaign that reached no recipient: `finished, reached nobody`."""
    return f"{shown['status']}, {shown['outcome']}" if shown.get("outcome") else str(shown["status"])


def _trouble(shown: JsonObject) -> str:
    clickhouse = shown.get("sources", {}).get("clickhouse", {"ok": True})
    return "" if clickhouse["ok"] else f"  ClickHouse unreachable since {clickhouse['since']}"


def show_lines(shown: JsonObject) -> Iterator[str]:
    """One campaign in full, line by line."""
    yield f"{shown['name']}  [{shown['id']}]  {', '.join(shown['tags'])}".rstrip()
    yield f"status     {status_of(shown)}" + (f": {shown['reason_text']}" if shown["reason"] else "")
    if shown.get("outcome_why"):
        yield f"           {shown['outcome_why']}"
    yield f"created    {shown['created']}   launched {shown['launched'] or '-'}   finished {shown['finished'] or '-'}"
    yield from _retry_lines(shown)
    yield f"actions    {', '.join(shown['actions'])}"
    for part in shown.get("missing", ()):
        yield f"missing    {part['where']}: {part['what']}: {part['fix']}"
    figures = shown["figures"]
    if not figures:
        yield f"figures    not yet{_trouble(shown)}"
        return
    yield f"figures    {figures['age_seconds']} s old, residual {figures['residual']:,}{_trouble(shown)}"
    yield f"targeted   {figures['targeted']:,}, submitted {figures['submitted']:,}"
    yield f"segments   {figures['segments']:,}"
    yield f"spend      {figures['spend']:,.4f} credits"
    yield f"clicked    {figures['clicked']['people']:,} people{_click_rate(figures['clicked'])}, " + (
        f"{figures['clicked']['bots']:,} opened by bots only"
    )
    yield f"replied    {figures['replied']:,} people; {figures['opted_out']:,} opted out"
    for state, count in sorted(figures["states"].items(), key=lambda item: -item[1]):
        if count:
            yield f"  {state:<12} {count:>12,}  {100 * count / max(1, figures['targeted']):5.1f} %"
    for reason in figures["reasons"]:
        yield f"    {reason['state']}: {reason['reason']} {reason['count']:,}  ({in_words(reason['reason'])})"


def _retry_lines(shown: JsonObject) -> Iterator[str]:
    if retry := shown.get("retry"):
        chain = "" if retry["first"] == retry["of"] else f", first sent as {retry['first']}"
        chosen = ", ".join((*retry["states"], *retry["reasons"]))
        yield f"retry of   {retry['of']}{chain} ({chosen})"
        yield f"           {retry_list_line(retry)}"
    for other in shown.get("retries", ()):
        yield f"retried as {other['id']} {other['status']}: {other['name']}"


def retry_list_line(retry: JsonObject) -> str:
    """What the list of a retry has, and what to do."""
    if retry["recipients"] is None:
        return f"its list {retry['list']} is still being made; review the draft in a moment, then launch it"
    return f"{retry['recipients']:,} recipients in list {retry['list']}; review the draft, then launch it"


def _click_rate(clicked: JsonObject) -> str:
    return "" if clicked["rate"] is None else f" ({100 * clicked['rate']:.1f} % of those delivered)"


def applied_lines(file: str, answer: JsonObject) -> Iterator[str]:
    """What a file changes of a campaign: a line with a minus for what goes, one with a plus for what comes."""
    yield f"{file}: {answer['key'] or answer['id']} ({answer['id']}) {answer['what']}"
    yield from change_lines(answer["changes"])


def change_lines(changes: Iterable[JsonObject]) -> Iterator[str]:
    """Fields that differ; of long lists the first items."""
    for change in changes:
        before, after = (_items(change[side]) for side in ("before", "after"))
        if not before and not after:
            yield f"  ~ {change['field']}: in another order"
        for sign, items in (("-", before), ("+", after)):
            for item in items[:SHOWN_ITEMS]:
                yield f"  {sign} {change['field']} = {json.dumps(item, ensure_ascii=False)}"
            if len(items) > SHOWN_ITEMS:
                yield f"  {sign} {change['field']}: {len(items) - SHOWN_ITEMS:,} more"


def _items(side: Any) -> list[Any]:
    if side is None:
        return []
    return side if isinstance(side, list) else [side]


def review_lines(review: JsonObject) -> Iterator[str]:
    """The review: recipients and cost, then warnings, then problems that forbid a launch."""
    from schemas.accounts import in_credits

    yield (
        f"{review['sendable']:,} of {review['recipients']:,} recipients will get the message: "
        f"{review['segments']:,} segments, "
        f"{review['cost'] / CREDIT:,.2f} credits, at least {review['seconds']:,.0f} s at the sender's limit"
    )
    if review["available"] is not None:
        yield (
            f"  reserved at the launch: {in_credits(review['most'])} credits, the most that it can cost; "
            f"{in_credits(review['available'])} are available"
        )
    for reason, count in review["skipped"].items():
        yield f"  skipped: {reason} {count:,}  ({in_words(reason)})"
    if review["expiring"]:
        yield f"  expired: not due before the deadline {review['expiring']:,}"
    yield from _forecast_lines(review.get("forecast"))
    for message in review["texts"]:
        yield f"longest text, {message['encoding']}, {message['units']} units, {message['most_parts']} segments:"
        yield f"  {message['example']}"
        yield from _characters_and_segments(message)
    if review["lateness"]:
        yield review["lateness"]
    for warning in review["warnings"]:
        yield f"warning: {warning['where']}: {warning['what']}"
    for problem in review["problems"]:
        yield f"problem: {problem['where']}: {problem['what']}"
    yield "can be launched" if review["ok"] else "cannot be launched"


def _characters_and_segments(message: JsonObject) -> Iterator[str]:
    for segments, texts in message["histogram"]:
        yield f"  {segments} segment{'' if segments == 1 else 's'}: {texts:,} texts"
    for replaced in message["replaced"]:
        instead = f"replaced by {replaced['by']!r}" if replaced["by"] else "taken out"
        yield f"  {replaced['character']!r} is {instead} in {replaced['texts']:,} of the texts"


def _forecast_lines(forecast: JsonObject | None) -> Iterator[str]:
    from pipeline.insight.forecast_words import duration
    from schemas.times import to_minute

    if forecast is None:
        return
    if forecast["finish"] is not None:
        finish, span = to_minute(forecast["finish"]), duration(forecast["seconds"])
        yield f"if launched now, it finishes at {finish}, after {span}"
    elif forecast["beyond_horizon"]:
        horizon = to_minute(forecast["horizon"])
        yield f"if launched now, it will still be running at {horizon}, where the forecast ends"
    else:
        yield f"if launched now, it will not reach {forecast['unreached']:,} of {forecast['recipients']:,} recipients"
    yield f"  {forecast['why']}"


def print_list(answer: JsonObject) -> None:
    """Print the list of campaigns as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from adapters.neutral import for_terminal

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (("id", "left"), ("status", "left"), ("name", "left"), ("created (UTC)", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("recipients", "handed over", "residual", "figures"):
        table.add_column(name, justify="right")
    for row in answer["campaigns"]:
        figures = row["figures"]
        cells = [
            row["id"],
            status_of(row),
            f"{row['name']} (retry of {row['retry']['of']})" if row["retry"] else row["name"],
            row["created"][:16].replace("T", " "),
            f"{row['recipients']:,}",
        ]
        cells += (
            [f"{figures['submitted']:,}", f"{figures['residual']:,}", f"{figures['age_seconds']} s old"]
            if figures
            else ["-"] * 3
        )
        table.add_row(*(Text(for_terminal(cell)) for cell in cells))
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)
    console.print(f"{answer['total']:,} campaigns, page {answer['page']} of {answer['pages']}")
