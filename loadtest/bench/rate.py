"""`longwave bench rate`: how exactly a lane keeps its limit, as the aggregator sees it.

One sender per limit, each with its own lane and more work than the limit lets through; all run at once. The bare
limit is the limit itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtest.bench.campaigns import Api, fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack

LIMITS = (1, 3, 100, 5000)
USED = 0.98


def run(seconds: int = 30) -> Result:
    """Let each lane send for `seconds`."""
    with private_stack(_settings()) as stack:
        api = Api(stack.settings)
        for lane, limit in enumerate(LIMITS):
            fill(stack.settings, f"rate-{limit}", limit * seconds, first=12_000_000_000 + lane * 100_000_000)
        campaigns = {limit: api.launch(f"rate {limit}", [f"rate-{limit}"], sender=f"s{limit}") for limit in LIMITS}
        wait_until("everything is sent", lambda: _all_sent(api, campaigns), 3 * seconds + 60, pause=1.0)
        seen = {limit: _seen(stack, campaign, limit) for limit, campaign in campaigns.items()}
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
            f"{lane.segments} segments"
            for limit, lane in seen.items()
        },
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    most: int
    used: float
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


def _seen(stack: Stack, campaign: str, limit: int) -> _Seen:
    """What the aggregator recorded of one lane: the fullest second, and how much of the limit was used."""
    submissions = stack.submissions()
    mine = np.array([message_id.startswith(campaign) for message_id in submissions.ids])
    times: Any = submissions.times[mine]
    segments: Any = submissions.segments[mine].astype(np.int64)
    ends = np.searchsorted(times, times + 1_000_000_000, side="left")
    total = np.concatenate([[0], np.cumsum(segments)])
    most = int((total[ends] - total[:-1]).max())
    # The last request's segments are paid for by the time after it, which is not seen.
    paid = total[np.searchsorted(times, times[-1])]
    return _Seen(most, float(paid / ((times[-1] - times[0]) / 1e9 * limit)), int(total[-1]))
