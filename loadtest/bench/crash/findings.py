"""What a run of the kill harness found, and whether that is what is promised."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.bench.crash.account import Account
from loadtest.bench.crash.stops import Stopped

ONCE: Final = ("skip", "resend-with-key", "query")
"""Policies under which nobody may get a message twice."""
WORKER_SECONDS: Final = 15.0
BROKER_SECONDS: Final = 30.0
SCALE_SECONDS: Final = 10.0
IN_ORDER: Final = frozenset({"rolling", "scale", "restart"})
"""After these nothing may be left unknown: who ends in good order finishes what is in hand."""
MOST_NEVER_HANDED_OVER: Final = 0.2
"""Of those left unknown; what a crash leaves unknown is to be what was under way, not what waited for the limit."""
ENOUGH: Final = 1000
"""Recipients left unknown from which on a share of them says something."""
AT_MOST: Final = {
    "worker": WORKER_SECONDS,
    "coordinator": WORKER_SECONDS,
    "writer": WORKER_SECONDS,
    "ingress": WORKER_SECONDS,
    "clickhouse": WORKER_SECONDS,
    "zombie": WORKER_SECONDS,
    "broker": BROKER_SECONDS,
    "storm": WORKER_SECONDS,
    "overlap": BROKER_SECONDS,
    "rolling": SCALE_SECONDS,
    "scale": SCALE_SECONDS,
}
"""Longest pause of any lane (seconds) after a blow, in a storm after the death in it, where two overlap after the
second. The whole stack's restarts are
reported and have no bound."""


@dataclass(slots=True)
class Recovery:
    """A blow of `kind` at `at` (s since the epoch): the longest pause of any lane, the seconds until all lanes sent
    steadily for good, and the most that one change of owner left unknown."""

    kind: str
    at: float
    longest: float
    settled: float
    unknown: int = 0
    """In all lanes together."""
    since_death: float | None = None
    """The longest pause from the last death in the middle of the blow on, if that is what counts."""


@dataclass(slots=True)
class Findings:
    """Of one run under one policy."""

    policy: str
    window: int
    """Messages that one change of a lane's owner may leave unknown at most."""
    recoveries: list[Recovery] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    stopped: Stopped = field(default_factory=Stopped)
    campaigns: int = 0
    key_hits: int = 0
    looks: int = 0
    refused: int = 0
    unbalanced: list[dict[str, Any]] = field(default_factory=list)
    largest_unknown: int = 0
    """Most messages that one change of owner left unknown in one lane."""
    left_unknown: int = 0
    """Messages that changes of owners left unknown, all together. Most of them were handed over, and their receipts
    say so: who is still unknown at the end was not, so the end alone says nothing of how many that were."""
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)

    def attribute(self, unknown: dict[tuple[int, int], int]) -> None:
        """`unknown`: (lane, when the new owner claimed it in ms) → messages. Each belongs to the blow before it."""
        self.largest_unknown = max(unknown.values(), default=0)
        self.left_unknown = sum(unknown.values())
        begins = [recovery.at for recovery in self.recoveries]
        for (_, at), count in unknown.items():
            place = bisect_right(begins, at / 1000) - 1
            if place >= 0:
                self.recoveries[place].unknown += count

    def broken(self) -> list[str]:
        """The promises that did not hold."""
        account = self.account
        problems = [*self.trouble]
        for what, count in (
            ("lost", account.lost),
            ("rejected although nobody had submitted them", account.not_sent),
            ("twice", account.twice if self.policy in ONCE else 0),
            ("at the aggregator and not in our account", account.unaccounted),
            ("unknown and not listed, or listed and not unknown", account.unlisted),
            ("of residual at the end", account.residual),
            ("looks with a residual", len(self.unbalanced)),
            ("receipts lost", account.receipts_lost),
            ("got a message later than 1 s after their STOP was acknowledged", len(self.stopped.late)),
        ):
            if count:
                problems.append(f"{count} {what}")
        if self.largest_unknown > self.window:
            problems.append(f"{self.largest_unknown} left unknown in one lane, window {self.window}")
        if self.left_unknown >= ENOUGH and self.share_never_handed_over > MOST_NEVER_HANDED_OVER:
            share = f"{self.share_never_handed_over:.0%}"
            problems.append(
                f"{share} of those left unknown were never handed over, {MOST_NEVER_HANDED_OVER:.0%} at most"
            )
        for recovery in self.recoveries:
            if recovery.kind in IN_ORDER and recovery.unknown:
                problems.append(f"{recovery.unknown} left unknown by {recovery.kind}")
            pause = recovery.longest if recovery.since_death is None else recovery.since_death
            if pause > AT_MOST.get(recovery.kind, float("inf")):
                problems.append(f"a lane stood still for {pause:.1f} s after {recovery.kind}")
        return problems

    @property
    def share_never_handed_over(self) -> float:
        """Of those that a change of owner left unknown; 0 where there were none."""
        return self.account.never_handed_over / self.left_unknown if self.left_unknown else 0.0

    def longest(self, kinds: frozenset[str]) -> float:
        return max((recovery.longest for recovery in self.recoveries if recovery.kind in kinds), default=0.0)

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Kind → count, worst and median pause, worst time to settle, most left unknown."""
        table = {}
        for kind in sorted({recovery.kind for recovery in self.recoveries}):
            mine = sorted(
                (recovery for recovery in self.recoveries if recovery.kind == kind),
                key=lambda recovery: recovery.longest,
            )
            table[kind] = {
                "blows": len(mine),
                "pause_median": round(mine[len(mine) // 2].longest, 1),
                "pause_worst": round(mine[-1].longest, 1),
                "settled_worst": round(max(recovery.settled for recovery in mine), 1),
                "unknown_most": max(recovery.unknown for recovery in mine),
            }
        return table

    def row(self) -> dict[str, Any]:
        """The policy's row of the table."""
        account = self.account
        return {
            "blows": len(self.recoveries),
            "campaigns": self.campaigns,
            "targeted": account.targeted,
            "received": account.received,
            "lost": account.lost,
            "twice": account.twice,
            "unknown": account.states["unknown"],
            "unlisted": account.unlisted,
            "never_handed_over": account.never_handed_over,
            "left_unknown": self.left_unknown,
            "share_never_handed_over": round(self.share_never_handed_over, 3),
            "known_not_sent": account.not_sent,
            "largest_unknown": self.largest_unknown,
            "window": self.window,
            "residual": account.residual,
            "looks": self.looks,
            "looks_with_residual": len(self.unbalanced),
            "looks_unanswered": self.refused,
            "receipts_lost": account.receipts_lost,
            **self.stopped.row(),
            "key_hits": self.key_hits,
            "seconds": round(self.seconds),
            "longest_pause_worker": round(self.longest(frozenset({"worker", "coordinator", "zombie"})), 1),
            "longest_pause_broker": round(self.longest(frozenset({"broker"})), 1),
            "by_kind": self.by_kind(),
            "broken": self.broken(),
            "examples": account.examples[:9],
        }
