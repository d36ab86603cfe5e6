"""What the demo shows in the terminal: the stack's messages while it starts, then the campaign's progress."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from adapters.terminal import note
from cli.campaign import wording as campaign_text
from schemas.json import JsonObject
from schemas.succession import UNSENT

Show = Callable[[JsonObject], None]
PLAIN_EVERY = 2.0
"""Seconds between progress lines without a terminal."""

STATES = {
    "delivered": "green",
    "accepted": "cyan",
    "undelivered": "dark_orange",
    "rejected": "red",
    "unknown": "magenta",
    "skipped": "bright_black",
    "expired": "yellow",
    "canceled": "bright_black",
    "in_flight": "blue",
    "queued": "bright_blue",
    "delayed": "medium_purple1",
    "pending": "white",
}
"""Order and colors are those of the page."""


@contextlib.contextmanager
def echo(log: Path) -> Iterator[None]:
    """Repeat new lines of `log` on standard error (downloads, processes that start).

    In a thread of its own: the stack must be started by a thread that lives as long as the process.
    """
    begin = log.stat().st_size if log.is_file() else 0
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(log, begin, stop), name="echo", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2.0)


def _follow(log: Path, position: int, stop: threading.Event) -> None:
    ended = False
    while not ended:
        ended = stop.wait(0.2)
        if not log.is_file():
            continue
        with log.open("rb") as file:
            file.seek(position)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        position += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            if not line.startswith("error: "):  # the caller reports errors itself
                note(f"  {line}")


@contextlib.contextmanager
def live() -> Iterator[Show]:
    """A function that shows the campaign's newest state: a live table, or a line every few seconds."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console

    with Live(console=Console(stderr=True), auto_refresh=False, transient=False) as view:
        yield lambda shown: view.update(render(shown), refresh=True)


def _lines() -> Show:
    last_line_at, status = 0.0, ""

    def show(shown: JsonObject) -> None:
        nonlocal last_line_at, status
        if shown["status"] != status or time.monotonic() - last_line_at >= PLAIN_EVERY:
            note(campaign_text.progress_line(shown))
            last_line_at, status = time.monotonic(), shown["status"]

    return show


def render(shown: JsonObject) -> Group:
    """The live table of one campaign."""
    figures = shown["figures"]
    head = Text(campaign_text.progress_line(shown), style="bold")
    if not figures or not figures["targeted"]:
        return Group(head)
    head.stylize("bold green" if figures["residual"] == 0 else "bold white on red")
    done = ProgressBar(total=figures["targeted"], completed=_settled(figures["states"]), width=60)
    table = Table(box=None, pad_edge=False, show_header=False)
    for state, color in STATES.items():
        count = figures["states"].get(state, 0)
        if count:
            share = count / figures["targeted"]
            table.add_row(
                Text(state, color), f"{count:,}", f"{100 * share:.1f} %", Text("█" * round(40 * share), color)
            )
    return Group(head, done, table)


def _settled(states: dict[str, int]) -> int:
    return sum(count for state, count in states.items() if state not in UNSENT)
