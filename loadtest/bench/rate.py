"""`longwave bench rate`: how exactly a lane keeps its limit, as the aggregator sees it.

One sender per limit, each with its own lane and more work than the limit lets through; all run at once. The bare
limit is the limit itself.

What is used counts from the time at which all recipients wait in their lanes. A launch works on them as fast as two
cores can, and what a lane's timer loses meanwhile no lane may catch up: the share from the first message on is shown
beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.aggregator.submissions import max_in_window
from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack

LIMITS = (1, 3, 100, 5000)
USED = 0.98


def run(seconds: int = 60) -> Result:
    """Let each lane send for `seconds`."""
    with private_stack(_settings()) as stack:
        api = Api(stack.settings)
        for lane, limit in enumerate(LIMITS):
            fill(stack.settings, f"rate-{limit}", limit * seconds, first=12_000_000_000 + lane * 100_000_000)
        campaigns = {limit: api.launch(f"rate {limit}", [f"rate-{limit}"], sender=f"s{limit}") for limit in LIMITS}
        wait_until("all wait in their lanes", lambda: _all_planned(api, campaigns), seconds, pause=0.5)
        planned = time.time_ns()
        wait_until("everything is sent", lambda: _all_sent(api, campaigns), 3 * seconds + 60, pause=1.0)
        seen = {limit: _seen(stack, campaign, limit, planned) for limit, campaign in campaigns.items()}
    worst = min(lane.used for lane in seen.values())
    over = [limit for limit, lane in seen.items() if lane.most > limit]
    return Result(
        name="rate",
        figure=round(worst, 4),
        unit="of the limit used (worst lane)",
        limit=1.0,
        ratio=round(worst, 4),
        required=f"never above the limit in any 1 s window, >= {USED:.0%} used",
        ok=not over and worst >= USED,
        inputs={"limits": list(LIMITS), "seconds": seconds},
        details={
            f"{limit} segments/s": f"most in any 1 s window {lane.most}, {lane.used:.2%} used, "
            f"{lane.used_since_launch:.2%} from the first message on, {lane.segments} segments"
            for limit, lane in seen.items()
        },
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    most: int
    used: float
    used_since_launch: float
    segments: int


def _settings() -> str:
    lines = ['[accounts.demo]\nsite_name = ""']
    for lane, limit in enumerate(LIMITS):
        lines.append(
            f'[accounts.demo.senders.s{limit}]\nnumber = "+1888555{limit:04d}"\n'
            f"segments_per_second = {limit}\nlanes = [{lane}]"
        )
    return "\n".join(lines) + "\n"


def _all_sent(api: Api, campaigns: dict[int, str]) -> bool:
    return all(api.show(campaign)["status"] in {"sent", "finished"} for campaign in campaigns.values())


def _all_planned(api: Api, campaigns: dict[int, str]) -> bool:
    return all(not _states(api.show(campaign)).get("pending", 1) for campaign in campaigns.values())


def _states(shown: dict[str, Any]) -> dict[str, int]:
    states: dict[str, int] = (shown.get("figures") or {}).get("states") or {}
    return states


def _seen(stack: Stack, campaign: str, limit: int, planned: int) -> _Seen:
    """What the aggregator recorded of one lane: the fullest second, and how much of the limit was used, from
    `planned` (ns) on and in all."""
    submissions = stack.submissions()
    mine = np.array([message_id.startswith(campaign) for message_id in submissions.ids])
    times: Any = submissions.times[mine]
    segments: Any = submissions.segments[mine].astype(np.int64)
    total = np.concatenate([[0], np.cumsum(segments)])

    def used(first: int) -> float:
        # The last request's segments are paid for by the time after it, which is not seen.
        paid = total[np.searchsorted(times, times[-1])] - total[first]
        return float(paid / ((times[-1] - times[first]) / 1e9 * limit))

    return _Seen(max_in_window(times, segments), used(int(np.searchsorted(times, planned))), used(0), int(total[-1]))
