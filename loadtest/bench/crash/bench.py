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
    "0 lost, 0 twice but under resend, left unknown <= window, each unknown listed, residual 0 at every look, "
    f"no receipt lost, nobody texted later than 1 s after their STOP, "
    f"<= {WORKER_SECONDS:.0f} s back at work after a worker, "
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
    findings = []
    for policy_name in POLICIES if policy == "all" else (policy,):
        report(f"policy {policy_name}: {kills} blows, seed {seed}")
        findings.append(carried_out(Setting(policy_name, recipients, seed), plan(kills, seed, only), report))
    inputs = {"kills": kills, "recipients": recipients, "seed": seed, "only": [*only], "rate_of_a_lane": RATE}
    return result(findings, inputs)


def result(findings: list[Findings], inputs: dict[str, Any]) -> Result:
    """The figure is the longest that any lane stood still after a worker's death."""
    longest = max(finding.longest(frozenset({"worker", "coordinator"})) for finding in findings)
    return Result(
        name="crash",
        figure=round(longest, 1),
        unit="s until every lane sends again after a worker's death (worst)",
        limit=None,
        ratio=None,
        required=REQUIRED,
        ok=not any(finding.broken() for finding in findings),
        inputs=inputs,
        details={finding.policy: finding.row() for finding in findings},
    )
