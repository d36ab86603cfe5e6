"""What an incident is: how it begins, which alert must fire, and which commands of its runbook mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.rehearsal.stage import Stage


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Begun:
    """An incident that has begun."""

    values: dict[str, list[str]] = field(default_factory=dict)
    """What stands for the placeholders of the runbook's commands, for instance `CAMPAIGN`."""
    others_mend: Callable[[], None] = _nothing
    """What others do before the commands: whoever gives a machine back."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong in a night.

    `alert` must fire within `takes` seconds, which our processes need until its condition holds, and the time of its
    rule. `commands` stand literally in the alert's runbook. `others` says in words what `Begun.others_mend` does, ""
    where the commands alone mend it. `small_disk`: the stack's data are on a disk that can be filled.
    """

    name: str
    what: str
    alert: str
    begin: Callable[[Stage], Begun]
    commands: tuple[str, ...]
    takes: float
    others: str = ""
    small_disk: bool = False
