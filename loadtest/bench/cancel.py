"""`longwave bench cancel`: from the command to the last submission, and what was submitted after the CONTROL.

Eight campaigns share four lanes that run at their limit. One after another is canceled, and its duplicate takes its
place. The time runs from before the request to the API to the last arrival of the campaign at the aggregator, by the
aggregator's own record. Then the lanes' logs are read back: whatever arrived must have an INTENT before the CONTROL.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.aggregator.record import entries
from loadtest.bench.account import one_sender
from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.lane_log import by_cancel, records, submitted_after_cancel
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from schemas.succession import UNSENT

P99_MS = 1000.0
CAMPAIGNS = 8
LANES = (0, 1, 2, 3)
APART = 1.0
"""Seconds between cancels: the lanes are at their limit again."""


def run(cancels: int = 40, recipients: int = 12_000, rate: int = 4000) -> Result:
    """Cancel `cancels` campaigns of `recipients` each while eight share `rate` segments/s."""
    # The whole log must still be there at the end, so nothing of it is replaced by a checkpoint.
    settings = one_sender(rate, LANES, "worker.checkpoint_bytes = 4_000_000_000")
    with private_stack(settings) as stack:
        load = _Load(stack, Api(stack.settings), recipients)
        load.fill()
        load.begin()
        begun = time.monotonic()
        while len(load.asked) < cancels:
            load.cancel_one()
            time.sleep(APART)
        seconds = time.monotonic() - begun
        load.end()
        late, read, decided = _after_control(stack, load)
        used = load.tail.total / (load.tail.last_at - load.tail.first_at) * 1e9 / rate
    waits = sorted(load.wait_ms(campaign) for campaign in list(load.asked)[:cancels])
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return Result(
        name="cancel",
        figure=round(cuts[98], 1),
        unit="ms (p99), command to last submission",
        limit=None,
        ratio=None,
        required=f"p99 <= {P99_MS:.0f} ms, 0 submitted after the CONTROL, residual 0",
        ok=cuts[98] <= P99_MS and not late and not load.wrong and read >= cancels,
        inputs={
            "cancels": cancels, "campaigns": CAMPAIGNS, "recipients": recipients, "rate": rate, "lanes": len(LANES)
        },
        details={
            "p50_ms": round(cuts[49], 1),
            "max_ms": round(waits[-1], 1),
            "command_to_control_p50_ms": round(statistics.median(decided), 1),
            "command_to_control_max_ms": round(max(decided), 1),
            "load_average": os.getloadavg()[0],
            "submitted_after_control": len(late),
            "campaigns_with_control_in_every_lane": read,
            "accounts_that_do_not_balance": load.wrong,
            "messages_arrived": load.tail.total,
            "limit_used": round(used, 3),
            "seconds": round(seconds, 1),
        },
    )  # fmt: skip


@dataclass(slots=True)
class Tail:
    """What arrived at the aggregator, read from its record as it grows."""

    folder: Path
    ids: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    """Nanoseconds since the epoch of each campaign's newest request."""
    total: int = 0
    first_at: int = 0
    last_at: int = 0
    _read: int = 0

    def catch_up(self) -> None:
        for entry in entries(self.folder, self._read):
            self._read, self.last_at = entry.end, max(self.last_at, entry.at)
            self.first_at = self.first_at or entry.at
            for message in entry.batch().messages:
                campaign = message.id.partition("-")[0]
                self.ids.setdefault(campaign, set()).add(message.id)
                self.last[campaign] = max(self.last.get(campaign, 0), entry.at)
                self.total += 1

    def count(self, campaign: str) -> int:
        return len(self.ids.get(campaign, ()))


class _Load:
    """Eight running campaigns and those that were canceled."""

    def __init__(self, stack: Stack, api: Api, recipients: int) -> None:
        self._stack = stack
        self._api = api
        self._recipients = recipients
        self._running: list[str] = []
        self.tail = Tail(stack.settings.data / "aggregator")
        self.asked: dict[str, int] = {}
        """When each campaign's cancel was asked for, nanoseconds since the epoch."""
        self.wrong: dict[str, Any] = {}
        """States of campaigns whose account does not balance, or differs from what arrived."""

    def fill(self) -> None:
        fill(self._stack.settings, "everybody", self._recipients)

    def begin(self) -> None:
        self._running = [self._launch(number) for number in range(CAMPAIGNS)]
        wait_until(
            "all campaigns are under way", lambda: all(self._arrived(campaign) for campaign in self._running), 120
        )

    def _launch(self, number: int) -> str:
        return self._api.launch(f"cancel {number}", ["everybody"], smart_sending_hours=0)

    def _arrived(self, campaign: str) -> int:
        self.tail.catch_up()
        return self.tail.count(campaign)

    def cancel_one(self) -> None:
        """Cancel the campaign that has been running longest, and put its duplicate in its place."""
        campaign = self._running.pop(0)
        wait_until(f"{campaign} is under way", lambda: bool(self._arrived(campaign)), 60)
        self._cancel(campaign)
        self._running.append(self._api.launch_copy(campaign))

    def _cancel(self, campaign: str) -> None:
        self.asked[campaign] = time.time_ns()
        self._api.act(campaign, "cancel")

    def end(self) -> None:
        """Cancel the rest, and hold every account against what arrived."""
        for campaign in self._running:
            self._cancel(campaign)
        for campaign in self.asked:
            wait_until(f"the account of {campaign}", lambda campaign=campaign: self._settled(campaign), 60)  # type: ignore[misc]
        self.tail.catch_up()
        for campaign in self.asked:
            figures = self._api.show(campaign)["figures"]
            states = {state: count for state, count in figures["states"].items() if count}
            arrived = self.tail.count(campaign)
            balanced = figures["residual"] == 0 and states == {
                state: count
                for state, count in (("accepted", arrived), ("canceled", self._recipients - arrived))
                if count
            }
            if not balanced:
                self.wrong[campaign] = {**states, "residual": figures["residual"], "arrived": arrived}

    def _settled(self, campaign: str) -> bool:
        figures = self._api.show(campaign)["figures"]
        return bool(figures) and not any(figures["states"][state] for state in UNSENT)

    def wait_ms(self, campaign: str) -> float:
        """From the command to the last arrival; 0 where nothing came after it."""
        return max(0, self.tail.last.get(campaign, 0) - self.asked[campaign]) / 1e6


def _after_control(stack: Stack, load: _Load) -> tuple[set[str], int, list[float]]:
    """Message ids submitted after the CONTROL, how many canceled campaigns have one in every lane's log, and the
    milliseconds from each command to the coordinator's decision."""
    late: set[str] = set()
    decided: list[float] = []
    canceled: dict[str, int] = dict.fromkeys(load.asked, 0)
    for lane in LANES:
        for campaign, lines in by_cancel(records(stack.settings.kafka.bootstrap, lane)).items():
            late |= submitted_after_cancel(lines, load.tail.ids.get(campaign, set()))
            canceled[campaign] = canceled.get(campaign, 0) + lines.canceled
            if lane == LANES[0] and campaign in load.asked and lines.canceled:
                decided.append(lines.canceled_at - load.asked[campaign] / 1e6)
    return late, sum(count == len(LANES) for count in canceled.values()), decided
