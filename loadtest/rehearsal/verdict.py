"""What came of an incident, held against what had to: the alert in time, no other sent, shown, mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.rehearsal.notifying import Notifying
from loadtest.rehearsal.prometheus import Series
from loadtest.rehearsal.runbook import Ran


@dataclass(slots=True)
class Outcome:
    """Seconds count from the incident's beginning; None: it did not happen. `problems` is empty if all is well."""

    incident: str
    alert: str
    fired_after: float | None = None
    allowed: float = 0.0
    resolved_after: float | None = None
    """Seconds from the first command to the end of the alert."""
    consequences: list[str] = field(default_factory=list)
    """Alerts that fired too, and of which Alertmanager notified nobody."""
    others: list[str] = field(default_factory=list)
    """Alerts of which it notified somebody."""
    panels: list[str] = field(default_factory=list)
    """Panels that showed it."""
    commands: list[Ran] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def line(self) -> str:
        """For a person."""
        fired = "never fired" if self.fired_after is None else f"fired after {self.fired_after:.0f} s"
        mended = "not over" if self.resolved_after is None else f"over {self.resolved_after:.0f} s after the commands"
        also = f"; consequences held back: {', '.join(self.consequences)}" if self.consequences else ""
        text = f"{self.alert} {fired} (at most {self.allowed:.0f} s), {mended}{also}"
        return f"{'ok    ' if self.ok else 'FAILED'} {self.incident}: {text}" + "".join(
            f"\n       {problem}" for problem in self.problems
        )


def split(series: Series, alert: str, notifying: Notifying, step: float) -> tuple[list[str], list[str]]:
    """(alerts that nobody was notified of, alerts that somebody was) besides `alert`, by name, from the history of
    `ALERTS{alertstate="firing"}`, one value each `step` seconds."""
    times = {labels: [at for at, _ in points] for labels, points in series.items()}
    firing: dict[float, list[dict[str, str]]] = {}
    for labels, fired_at in times.items():
        for at in fired_at:
            firing.setdefault(at, []).append(dict(labels))
    held, notified = set[str](), set[str]()
    for labels, fired_at in times.items():
        name = dict(labels)["alertname"]
        if name != alert:
            (notified if notifying.notifies(dict(labels), fired_at, firing, step) else held).add(name)
    return sorted(held - notified), sorted(notified)


def first(series: Series, alert: str) -> float | None:
    """When an alert first fired (s since 1970)."""
    return min((points[0][0] for points in _of(series, alert)), default=None)


def last(series: Series, alert: str) -> float | None:
    """When it last fired."""
    return max((points[-1][0] for points in _of(series, alert)), default=None)


def _of(series: Series, alert: str) -> list[list[tuple[float, float]]]:
    return [points for labels, points in series.items() if dict(labels)["alertname"] == alert]


def summary(outcomes: Sequence[Outcome]) -> str:
    """The last line for a person."""
    failed = [outcome.incident for outcome in outcomes if not outcome.ok]
    said = f"{len(outcomes) - len(failed)} of {len(outcomes)} incidents went as they should"
    return f"{said}; not: {', '.join(failed)}" if failed else said
