"""Of which alerts Alertmanager would notify somebody: its inhibit rules and its times, read from its configuration.

Alertmanager gathers alerts in groups and sends a group `group_wait` after its first alert and every `group_interval`
from then on. What is inhibited at that moment, by an alert that fires then, is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from loadtest.rehearsal.durations import seconds
from loadtest.rehearsal.rules import DEPLOY

CONFIG: Final = DEPLOY / "alertmanager.yml"
Labels = Mapping[str, str]
Firing = Mapping[float, Sequence[Labels]]
"""Time (s) → all alerts that fire then."""
_MATCHER: Final = re.compile(r"""^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(?:"((?:\\.|[^"\\])*)"|(\S*))\s*$""")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label, as Alertmanager writes it: `severity =~ "a|b"`."""

    label: str
    operator: str
    value: str

    @classmethod
    def read(cls, text: str) -> Matcher:
        """A matcher.

        Raises:
            ValueError: it is none.
        """
        match = _MATCHER.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no matcher of Alertmanager")
        quoted, bare = match[3], match[4]
        return cls(match[1], match[2], bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted))

    def holds(self, labels: Labels) -> bool:
        is_it = labels.get(self.label, "")
        same = bool(re.fullmatch(self.value, is_it)) if "~" in self.operator else is_it == self.value
        return same != self.operator.startswith("!")


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alert of `source` fires, one of `target` is not sent if their `equal` labels are the same."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def holds(self, alert: Labels, firing: Iterable[Labels]) -> bool:
        if not _all_hold(self.target, alert):
            return False
        # What is on both sides is not inhibited by others that are: else two of a kind would silence each other.
        is_source = _all_hold(self.source, alert)
        return any(
            _all_hold(self.source, other)
            and not (is_source and _all_hold(self.target, other))
            and all(alert.get(name, "") == other.get(name, "") for name in self.equal)
            for other in firing
        )


@dataclass(frozen=True, slots=True)
class _Route:
    matchers: tuple[Matcher, ...]
    wait: float
    interval: float
    children: tuple[_Route, ...]


class Notifying:
    """The configuration in a file, every duration divided by `faster`."""

    def __init__(self, faster: float = 1.0, file: Path = CONFIG) -> None:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        self._faster = faster
        self._inhibitions = [_inhibition(rule) for rule in config.get("inhibit_rules", ())]
        self._route = _route(config["route"], wait=30.0, interval=300.0)

    def inhibited(self, alert: Labels, firing: Iterable[Labels]) -> bool:
        """Whether `alert` is not sent while all of `firing` fire."""
        others = list(firing)
        return any(rule.holds(alert, others) for rule in self._inhibitions)

    def notifies(
        self, alert: Labels, times: list[float], firing: Mapping[float, Sequence[Labels]], step: float
    ) -> bool:
        """Whether somebody is notified of an alert that fires at `times` (s, ascending, `step` apart)."""
        return any(not self.inhibited(alert, firing[time]) for time in self._sends(alert, times, step))

    def _sends(self, alert: Labels, times: list[float], step: float) -> Iterator[float]:
        """Those of its times at which Alertmanager sends its group, which is taken to begin with it."""
        route = _deepest(self._route, alert)
        wait, interval = route.wait / self._faster, max(route.interval / self._faster, step)
        send = times[0] + wait
        for before, time in zip(times[:1] + times, times, strict=False):
            if time - before > 1.5 * step:
                send = time + wait  # it had ended, and fires anew
            if time >= send:
                yield time
                send += interval


def _all_hold(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(matcher.holds(labels) for matcher in matchers)


def _inhibition(rule: dict[str, Any]) -> Inhibition:
    return Inhibition(
        _matchers(rule, "source_matchers"), _matchers(rule, "target_matchers"), tuple(rule.get("equal", ()))
    )


def _matchers(rule: dict[str, Any], key: str) -> tuple[Matcher, ...]:
    return tuple(Matcher.read(text) for text in rule.get(key, ()))


def _route(config: dict[str, Any], wait: float, interval: float) -> _Route:
    """`wait` and `interval` (s) are those of the route above, Alertmanager's own for the root."""
    wait = seconds(config["group_wait"]) if "group_wait" in config else wait
    interval = seconds(config["group_interval"]) if "group_interval" in config else interval
    children = tuple(_route(child, wait, interval) for child in config.get("routes", ()))
    return _Route(_matchers(config, "matchers"), wait, interval, children)


def _deepest(route: _Route, alert: Labels) -> _Route:
    """The first route below that takes the alert, or this one."""
    child = next((below for below in route.children if _all_hold(below.matchers, alert)), None)
    return route if child is None else _deepest(child, alert)
