"""The chart of a simulation: who is in which state over time, and below how far each zone is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from schemas.succession import SHOWN, UNSENT

COLOURS: Final = {
    "pending": "#d0d4da",
    "delayed": "#b6a6d8",
    "queued": "#f2d58b",
    "in_flight": "#f0a860",
    "unknown": "#8c564b",
    "accepted": "#8ec7e8",
    "rejected": "#d9534f",
    "undelivered": "#e59a97",
    "delivered": "#6bbf8a",
    "skipped": "#9aa0a6",
    "expired": "#6b6f76",
    "canceled": "#4a4d52",
}
ZONES_SHOWN: Final = 24
_DONE: Final = frozenset(SHOWN) - {*UNSENT}


def draw(result: dict[str, Any], path: Path) -> None:
    """Write a chart of `report(...)` to FILE.svg or FILE.png; the same file for the same result.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "longwave"
    samples = result["timeline"]
    at: list[Any] = [datetime.fromisoformat(sample["at"]) for sample in samples]
    names = [state for state in reversed(SHOWN) if any(sample["states"].get(state) for sample in samples)]
    zones = _largest(samples)
    figure = Figure(figsize=(11, 5.5 + 0.16 * len(zones)), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1 + 0.12 * len(zones)])
    columns = [[sample["states"].get(state, 0) for sample in samples] for state in names]
    above.stackplot(at, columns, labels=names, colors=[COLOURS[state] for state in names], step="post")
    above.set_title(f"{result['name']}: {result['targeted']:,} recipients, finish {result['finish'] or 'none'}")
    above.set_ylabel("recipients")
    above.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    done = [[_done(sample["zones"].get(zone, {})) for sample in samples] for zone in zones]
    # One more edge than cells: each sample holds until the next.
    shades = below.pcolormesh(at, range(len(zones)), done, shading="nearest", cmap="YlGn", vmin=0, vmax=1)
    below.set_yticks(range(len(zones)), zones, fontsize=7)
    below.invert_yaxis()
    figure.colorbar(shades, ax=below, label="settled")
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    below.set_xlabel("UTC")
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, metadata=metadata, dpi=120)


def _largest(samples: list[dict[str, Any]]) -> list[str]:
    sizes = {zone: sum(cells.values()) for zone, cells in samples[-1]["zones"].items()}
    return sorted(sizes, key=lambda zone: (-sizes[zone], zone))[:ZONES_SHOWN]


def _done(cells: dict[str, int]) -> float:
    whole = sum(cells.values())
    return sum(count for state, count in cells.items() if state in _DONE) / whole if whole else 1.0
