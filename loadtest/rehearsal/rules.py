"""The alert and recording rules of `deploy/rules/`, as they are and with every duration divided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from adapters.terminal import UserError
from loadtest.rehearsal.durations import divided, divided_in, names_in, ranges_in, seconds

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
FOLDER: Final = DEPLOY / "rules"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule; `hold` (s) is its `for`."""

    name: str
    expression: str
    hold: float
    severity: str


class Rules:
    """All rules of a folder.

    Raises:
        UserError: the folder has none; Longwave was installed without its sources.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yml"))
        }
        if not self._files:
            raise UserError(f"there are no alert rules in {folder}; run this from a checkout of Longwave's sources")
        rules = list(self._rules())
        self._recorded: dict[str, list[str]] = {}
        for rule in rules:
            if "record" in rule:
                self._recorded.setdefault(rule["record"], []).append(rule["expr"])
        self.alerts = {rule["alert"]: _alert(rule) for rule in rules if "alert" in rule}

    def write(self, folder: Path, faster: float) -> None:
        """Write them to `folder` with every duration (`for`, ranges, offsets, intervals) divided by `faster`."""
        for name, file in self._files.items():
            groups = [_divided_group(group, faster) for group in file["groups"]]
            (folder / name).write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")

    def patience(self, alert: str) -> float:
        """Seconds that the rule itself lets pass at most once its cause is there: its `for` and its longest range."""
        rule = self.alerts[alert]
        ranges = [length for expression in self._all_of(rule.expression) for length in ranges_in(expression)]
        return rule.hold + max(ranges, default=0.0)

    def metrics(self, expression: str) -> set[str]:
        """Our metrics that an expression reads, also through recording rules, and those of each process."""
        names = set[str]().union(*(names_in(part) for part in self._all_of(expression)))
        return {_base(name) for name in names if name.startswith(("longwave_", "process_"))}

    def _all_of(self, expression: str) -> list[str]:
        """The expression, and those of the recording rules that it reads."""
        parts = [expression]
        for part in parts:
            for name in names_in(part) & self._recorded.keys():
                parts += [more for more in self._recorded[name] if more not in parts]
        return parts

    def _rules(self) -> Iterator[dict[str, Any]]:
        for file in self._files.values():
            for group in file["groups"]:
                yield from group["rules"]


def _alert(rule: dict[str, Any]) -> Alert:
    hold = seconds(str(rule.get("for", "0")))
    return Alert(rule["alert"], rule["expr"], hold, rule.get("labels", {}).get("severity", ""))


def _divided_group(group: dict[str, Any], by: float) -> dict[str, Any]:
    interval = {"interval": divided(group["interval"], by)} if "interval" in group else {}
    return {**group, **interval, "rules": [_divided_rule(rule, by) for rule in group["rules"]]}


def _divided_rule(rule: dict[str, Any], by: float) -> dict[str, Any]:
    held = [key for key in ("for", "keep_firing_for") if key in rule]
    holds: dict[str, Any] = {key: divided(str(rule[key]), by) for key in held}
    return {**rule, **holds, "expr": divided_in(rule["expr"], by)}


def _base(name: str) -> str:
    """The metric that a sample of this name belongs to."""
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
