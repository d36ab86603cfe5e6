"""A campaign in words, for the terminal, and as the JSON result that all campaign runs give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.reasons import in_words

CREDIT = 1_000_000


def residual(shown: dict[str, Any]) -> int | None:
    """Targeted minus the sum of states; None before the first figures."""
    return shown["figures"]["residual"] if shown["figures"] else None


def result(shown: dict[str, Any]) -> dict[str, Any]:
    """campaign, status, targeted, states, residual, submitted, seconds; `received`, `received_twice` and `lost` are
    for whoever knows the aggregator's own record (the demo, the benchmarks): None here."""
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


def seconds(shown: dict[str, Any]) -> float | None:
    """Launch to finish, None where it has not finished."""
    from datetime import datetime

    if not shown["launched"] or not shown["finished"]:
        return None
    span = datetime.fromisoformat(shown["finished"]) - datetime.fromisoformat(shown["launched"])
    return round(span.total_seconds(), 3)


def progress_line(shown: dict[str, Any]) -> str:
    """`sending  43,210 of 100,000 handed over (43.2 %)  5,012/s  residual 0  figures 0.4 s old`."""
    figures = shown["figures"]
    status = f"{status_of(shown):<10}" + (f" ({shown['reason_text']})" if shown["reason"] else "")
    if not figures or not figures["targeted"]:
        return f"{status} {_trouble(shown)}".rstrip()
    share = 100 * figures["submitted"] / figures["targeted"]
    return (
        f"{status} {figures['submitted']:,} of {figures['targeted']:,} handed over ({share:.1f} %)  "
        f"{shown['rate']:,.0f}/s  residual {figures['residual']:,}  figures {figures['age_seconds']} s old"
        f"{_trouble(shown)}"
    )


def status_of(shown: dict[str, Any]) -> str:
    """The status, and what came of a campaign that reached nobody: `finished, reached nobody`."""
    return f"{shown['status']}, {shown['outcome']}" if shown.get("outcome") else str(shown["status"])


def _trouble(shown: dict[str, Any]) -> str:
    clickhouse = shown.get("sources", {}).get("clickhouse", {"ok": True})
    return "" if clickhouse["ok"] else f"  ClickHouse unreachable since {clickhouse['since']}"


def show_lines(shown: dict[str, Any]) -> Iterator[str]:
    """Everything about one campaign."""
    yield f"{shown['name']}  [{shown['id']}]  {', '.join(shown['tags'])}".rstrip()
    yield f"status     {status_of(shown)}" + (f": {shown['reason_text']}" if shown["reason"] else "")
    if shown.get("outcome_why"):
        yield f"           {shown['outcome_why']}"
    yield f"created    {shown['created']}   launched {shown['launched'] or '-'}   finished {shown['finished'] or '-'}"
    yield f"may        {', '.join(shown['actions'])}"
    figures = shown["figures"]
    if not figures:
        yield f"figures    none yet{_trouble(shown)}"
        return
    yield f"figures    {figures['age_seconds']} s old, residual {figures['residual']:,}{_trouble(shown)}"
    yield f"targeted   {figures['targeted']:,}, handed over {figures['submitted']:,}"
    yield f"segments   {figures['segments']:,}"
    yield f"spend      {figures['spend']:,.4f} credits"
    yield f"clicked    {figures['clicked']['people']:,} people{_click_rate(figures['clicked'])}, " + (
        f"{figures['clicked']['bots']:,} visited by bots"
    )
    yield f"wrote back {figures['replied']:,} people; {figures['opted_out']:,} opted out because of it"
    for state, count in sorted(figures["states"].items(), key=lambda item: -item[1]):
        if count:
            yield f"  {state:<12} {count:>12,}  {100 * count / max(1, figures['targeted']):5.1f} %"
    for reason in figures["reasons"]:
        yield f"    {reason['state']}: {reason['reason']} {reason['count']:,}  ({in_words(reason['reason'])})"


def _click_rate(clicked: dict[str, Any]) -> str:
    return "" if clicked["rate"] is None else f" ({100 * clicked['rate']:.1f} % of those delivered to)"


def review_lines(found: dict[str, Any]) -> Iterator[str]:
    """The review: what it is about, then warnings, then what forbids it."""
    yield (
        f"{found['sendable']:,} of {found['recipients']:,} recipients would get it: {found['segments']:,} segments, "
        f"{found['cost'] / CREDIT:,.2f} credits, at least {found['seconds']:,.0f} s at the sender's limit"
    )
    for reason, count in found["skipped"].items():
        yield f"  skipped: {reason} {count:,}  ({in_words(reason)})"
    if found["expiring"]:
        yield f"  expiring: not allowed before the deadline {found['expiring']:,}"
    yield from _forecast_lines(found.get("forecast"))
    for message in found["texts"]:
        yield f"longest text, {message['encoding']}, {message['units']} units, {message['most_parts']} segments:"
        yield f"  {message['example']}"
    if found["lateness"]:
        yield found["lateness"]
    for warning in found["warnings"]:
        yield f"warning: {warning['where']}: {warning['what']}"
    for problem in found["problems"]:
        yield f"problem: {problem['where']}: {problem['what']}"
    yield "can be launched" if found["ok"] else "cannot be launched"


def _forecast_lines(ahead: dict[str, Any] | None) -> Iterator[str]:
    from pipeline.insight.forecast_words import duration
    from schemas.times import to_minute

    if ahead is None:
        return
    if ahead["finish"] is not None:
        yield f"launched now it would finish at {to_minute(ahead['finish'])}, after {duration(ahead['seconds'])}"
    elif ahead["beyond_horizon"]:
        yield f"launched now it would not finish before {to_minute(ahead['horizon'])}, and no forecast looks further"
    else:
        yield f"launched now it would not reach {ahead['unreached']:,} of {ahead['recipients']:,}"
    yield f"  {ahead['why']}"


def print_list(found: dict[str, Any]) -> None:
    """The list as a table on standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from adapters.neutral import for_terminal

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (("id", "left"), ("status", "left"), ("name", "left"), ("created (UTC)", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("recipients", "handed over", "residual", "figures"):
        table.add_column(name, justify="right")
    for row in found["campaigns"]:
        figures = row["figures"]
        cells = [
            row["id"],
            status_of(row),
            row["name"],
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
    console.print(f"{found['total']:,} campaigns, page {found['page']} of {found['pages']}")
