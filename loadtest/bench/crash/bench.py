"""The result of `longwave bench crash` over one policy or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from loadtest.bench.crash.findings import BROKER_SECONDS, WORKER_SECONDS, Findings
from loadtest.bench.crash.plan import plan
from loadtest.bench.crash.run import RATE, Setting, carried_out
from loadtest.bench.report import Result
from schemas.campaign import UnknownPolicy

POLICIES: Final[tuple[str, ...]] = get_args(UnknownPolicy)
REQUIRED: Final = (
    "0 lost, 0 twice but under resend, in doubt <= window, each unknown listed, residual 0 at every look, no receipt "
    f"lost, nobody texted later than 1 s after their STOP, <= {WORKER_SECONDS:.0f} s back at work after a worker, "
    f"<= {BROKER_SECONDS:.0f} s after the broker and after the second of two blows"
)


def run(
    kills: int = 50,
    policy: str = "all",
    recipients: int = 100_000,
    seed: int = 1,
    only: Sequence[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Result:
    """`kills` blows under each policy, of all kinds or `only` some. `recipients` of each campaign."""
    found = []
    for one in POLICIES if policy == "all" else (policy,):
        report(f"policy {one}: {kills} blows, seed {seed}")
        found.append(carried_out(Setting(one, recipients, seed), plan(kills, seed, only), report))
    inputs = {"kills": kills, "recipients": recipients, "seed": seed, "only": [*only], "rate_of_a_lane": RATE}
    return result(found, inputs)


def result(found: list[Findings], inputs: dict[str, Any]) -> Result:
    """The figure is the longest that any lane stood still after a worker's death."""
    longest = max(one.longest(frozenset({"worker", "coordinator"})) for one in found)
    return Result(
        name="crash",
        figure=round(longest, 1),
        unit="s until every lane sends again after a worker's death (worst)",
        limit=None,
        ratio=None,
        required=REQUIRED,
        ok=not any(one.broken() for one in found),
        inputs=inputs,
        details={one.policy: one.row() for one in found},
    )
