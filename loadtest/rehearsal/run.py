"""Plays incidents, each on a stack of its own, and judges them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from adapters.terminal import UserError
from loadtest.bench.campaigns import wait_until
from loadtest.rehearsal import panels, runbook
from loadtest.rehearsal.incident import Begun, Incident
from loadtest.rehearsal.incidents import ALL
from loadtest.rehearsal.notifying import Notifying
from loadtest.rehearsal.prometheus import Prometheus
from loadtest.rehearsal.rules import Rules
from loadtest.rehearsal.stage import Stage, stage, until_calm
from loadtest.rehearsal.verdict import Outcome, first, last, split

JOBS: Final = {"worker", "writer", "api", "ingress"}
MARGIN: Final = 10.0
"""Seconds for a busy machine."""
MENDING: Final = 90.0
"""Seconds in which processes that the commands started are at work again."""
STANDS: Final = 30.0
"""Seconds, undivided, that the incident goes on once its alert fires: what else fires, fires by then."""
FIRING: Final = 'ALERTS{alertstate="firing"}'
Report = Callable[[str], None]


def chosen(name: str) -> tuple[Incident, ...]:
    """The incident of this name, or all of them.

    Raises:
        UserError: there is none.
    """
    incidents = tuple(incident for incident in ALL if name in ("all", incident.name))
    if not incidents:
        raise UserError(f"there is no incident `{name}`; `longwave rehearse --list` names them")
    return incidents


def rehearse(incidents: Iterable[Incident], faster: float, report: Report = lambda line: None) -> list[Outcome]:
    """Play them one after the other, with every duration of the rules divided by `faster`.

    Raises:
        UserError: Prometheus or the rules are not there.
    """
    rules, notifying = Rules(), Notifying(faster)
    outcomes = []
    for incident in incidents:
        report(f"{incident.name}: {incident.what}; {incident.alert} must fire")
        outcome = Rehearsal(incident, rules, notifying, faster).play(report)
        report(outcome.line())
        outcomes.append(outcome)
    return outcomes


class Rehearsal:
    """One incident."""

    def __init__(self, incident: Incident, rules: Rules, notifying: Notifying, faster: float) -> None:
        self._incident = incident
        self._rules = rules
        self._notifying = notifying
        self._faster = faster
        self._outcome = Outcome(incident.name, incident.alert)
        self._began = 0.0

    def play(self, report: Report) -> Outcome:
        """From a calm stack to a calm stack; a failure is an outcome too."""
        try:
            self._check()
            with stage(self._rules, self._faster, small_disk=self._incident.small_disk) as made:
                self._on(made, report)
        except (RuntimeError, UserError, OSError) as error:
            self._outcome.problems.append(str(error))
        return self._outcome

    def _check(self) -> None:
        """Before anything is started: the alert exists, and its runbook has the commands.

        Raises:
            UserError: not so.
        """
        alert = self._incident.alert
        if alert not in self._rules.alerts:
            raise UserError(f"there is no alert {alert} in the rules")
        if wrong := runbook.missing(alert, self._incident.commands):
            raise UserError(f"the runbook of {alert} does not have `{'`, `'.join(wrong)}`")

    def _on(self, stage: Stage, report: Report) -> None:
        calm = until_calm(stage, JOBS, max(10.0, 30.0 / self._faster))
        report("  the stack is calm")
        self._began = time.time()
        begun = self._incident.begin(stage)
        if not self._until_fires(stage.prometheus):
            self._outcome.problems.append(f"{self._incident.alert} did not fire")
        report("  it has begun; what must fire " + ("did not" if self._outcome.problems else "fires"))
        time.sleep(STANDS / self._faster)
        self._look(stage.prometheus, calm)
        self._mend(stage, begun)
        self._judge(stage.prometheus)

    def _until_fires(self, prometheus: Prometheus) -> bool:
        allowed = self._allowed(prometheus)
        self._outcome.allowed = round(allowed, 1)
        return _within(self._began + allowed, prometheus.interval, lambda: self._fires(prometheus))

    def _allowed(self, prometheus: Prometheus) -> float:
        """Seconds after which the alert fires at the latest: our processes notice, Prometheus scrapes and evaluates
        (recording rules first), the rule's own time passes."""
        return (
            self._incident.takes
            + self._rules.patience(self._incident.alert) / self._faster
            + 4 * prometheus.interval
            + MARGIN
        )

    def _look(self, prometheus: Prometheus, calm: float) -> None:
        """Whether the dashboards show it."""
        candidates = panels.panels()
        if not candidates:
            return
        shown = panels.concerned(candidates, self._rules, self._incident.alert)
        now = (self._began, time.time())
        self._outcome.panels = [
            str(panel) for panel in shown if panels.showed(panel, prometheus, (calm, self._began), now)
        ]
        if not self._outcome.panels:
            names = ", ".join(map(str, shown)) or "no panel is about it"
            self._outcome.problems.append(f"no dashboard shows it ({names})")

    def _mend(self, stage: Stage, begun: Begun) -> None:
        began = time.time()
        begun.others_mend()
        for command in self._incident.commands:
            self._outcome.commands.append(runbook.run(command, begun.values, stage.stack.env))
        until = time.time() + MENDING + self._allowed(stage.prometheus)
        if _within(until, stage.prometheus.interval, lambda: not self._fires(stage.prometheus)):
            self._outcome.resolved_after = round(time.time() - began, 1)
        else:
            self._outcome.problems.append("the commands of the runbook did not end it")
        time.sleep(2 * stage.prometheus.interval)

    def _judge(self, prometheus: Prometheus) -> None:
        history = prometheus.history(FIRING, self._began, time.time())
        fired, ended = first(history, self._incident.alert), last(history, self._incident.alert)
        outcome = self._outcome
        if fired is not None and ended is not None:
            outcome.fired_after = round(fired - self._began, 1)
            if outcome.fired_after > outcome.allowed:
                outcome.problems.append(f"it fired only after {outcome.fired_after} s")
        outcome.consequences, outcome.others = split(
            history, self._incident.alert, self._notifying, prometheus.interval
        )
        if outcome.others:
            outcome.problems.append(f"somebody was notified of other alerts: {', '.join(outcome.others)}")

    def _fires(self, prometheus: Prometheus) -> bool:
        return any(alert["alertname"] == self._incident.alert for alert in prometheus.firing())


def _within(until: float, pause: float, reached: Callable[[], bool]) -> bool:
    """Poll until `until` (s since 1970)."""
    try:
        wait_until("reached", reached, max(0.0, until - time.time()), pause=min(1.0, pause))
    except RuntimeError as error:
        if not str(error).endswith("reached"):
            raise
        return False
    return True
