"""`longwave bench senders`: thousands of slow senders on few lanes, as the aggregator sees them.

Accounts of ten senders each are added to a stack that runs, and each sender gets more work than its limit lets
through. In every tenth account the account's limit is what binds: half of what its senders may submit together. The
bare limit is what all senders, or their accounts, may submit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from adapters.clock import now_ms
from adapters.kafka.bulk import BulkWriter
from cli.client import api_of
from loadtest.aggregator.submissions import max_in_window
from loadtest.bench import lane_log
from loadtest.bench.campaigns import FIRST_NUMBER, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from pipeline.accounts.placing import home_lane
from pipeline.eligibility.decide import SMALLEST_WORK
from pipeline.identity.crockford import campaign_from_octets
from schemas import topics
from schemas.lane import Control, Intent, LaneMessage, LaneSettings, Work
from schemas.wire import encode

OF_ACCOUNT: Final = 10
"""Senders of an account."""
BOUND: Final = 10
"""Every so many accounts the account's limit binds."""
LANES: Final = 8
AT_ONCE: Final = 40
"""Accounts that are added with one request."""
USED: Final = 0.98
SETTLING: Final = 5.0
"""Seconds at the beginning that are not measured: new senders send a burst first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: so many senders of `rate` segments/s each."""

    senders: int
    rate: int
    seconds: int
    workers: int

    @property
    def accounts(self) -> range:
        return range(self.senders // OF_ACCOUNT)

    def account_limit(self, account: int) -> int:
        """Segments per second."""
        whole = OF_ACCOUNT * self.rate
        return whole // 2 if account % BOUND == 0 else whole

    @property
    def limit(self) -> int:
        """What all may submit in a second."""
        return sum(self.account_limit(account) for account in self.accounts)


def run(senders: int = 10_000, rate: int = 3, seconds: int = 30, workers: int = 2) -> Result:
    """Let every sender send for `seconds`."""
    plan = Plan(senders, rate, seconds, workers)
    with private_stack("", workers=workers) as stack:
        added = _add(stack, plan)
        cpu_before, began = _begin(stack, plan)
        time.sleep(SETTLING + seconds)
        ended = time.time_ns()
        cpu = {name: value - cpu_before.get(name, 0.0) for name, value in stack.cpu_seconds().items()}
        seen = _seen(stack, plan, began + int(SETTLING * 1e9), ended)
        intents = _intents(stack, began)
    messages = seen.messages_in_all
    return Result(
        name="senders",
        figure=round(seen.rate, 1),
        unit="segments/s",
        limit=float(plan.limit),
        ratio=round(seen.rate / plan.limit, 4),
        required=f"never above a sender's or an account's limit in any 1 s window, >= {USED:.0%} used",
        ok=not seen.over and seen.rate >= USED * plan.limit,
        inputs={"senders": senders, "segments_per_second": rate, "seconds": seconds, "workers": workers},
        details={
            "seconds to add the senders to a running stack": round(added, 1),
            "most of a sender in any 1 s window": seen.most_of_a_sender,
            "most of an account in any 1 s window, over its limit": seen.most_over_of_an_account,
            "used by the least used sender where senders bind": round(seen.least_sender, 4),
            "used by the least used account where accounts bind": round(seen.least_account, 4),
            "INTENT records per second": round(intents / (SETTLING + seconds), 1),
            "messages per INTENT": round(messages / max(1, intents), 1),
            "CPU of the workers per message (microseconds)": round(
                sum(value for name, value in cpu.items() if name.startswith("worker")) / max(1, messages) * 1e6, 1
            ),
            "CPU seconds": {name: round(value, 1) for name, value in sorted(cpu.items())},
        },
    )


def number_of(sender: int) -> str:
    """A toll-free number for each sender."""
    return f"+1888{2_000_000 + sender}"


def _add(stack: Stack, plan: Plan) -> float:
    """Add all accounts and senders through the API; the seconds that it takes."""
    api, began = api_of(stack.settings, timeout=120.0), time.monotonic()
    for start in range(0, len(plan.accounts), AT_ONCE):
        some = plan.accounts[start : start + AT_ONCE]
        document = {"accounts": {f"shop{account}": _account(plan, account) for account in some}}
        answer = api.send("POST", "/v1/accounts/apply", orjson.dumps(document))
        if answer["refused"] or not answer["carried_out"]:
            raise RuntimeError(f"the accounts could not be added: {answer['refused'] or 'no worker answered'}")
    return time.monotonic() - began


def _account(plan: Plan, account: int) -> dict[str, Any]:
    first = account * OF_ACCOUNT
    return {
        "site_name": "",
        "segments_per_second": plan.account_limit(account),
        "senders": {
            f"s{n}": {"number": number_of(first + n), "segments_per_second": plan.rate} for n in range(OF_ACCOUNT)
        },
    }


def _begin(stack: Stack, plan: Plan) -> tuple[dict[str, float], int]:
    """Give every sender its work; the CPU seconds before, and when (ns) all of it was due."""
    writer = BulkWriter(stack.settings.kafka.bootstrap)
    due = now_ms() + 10_000 + plan.senders // 2
    for account in plan.accounts:
        lane = home_lane(f"shop{account}", LANES)
        for record in _records(plan, account, due):
            writer.write(topics.LANES.name, lane, encode(record))
    writer.flush()
    wait_until("all wait in their lanes", lambda: now_ms() > due - 2000, 600, pause=0.1)
    before = stack.cpu_seconds()
    wait_until("it is due", lambda: now_ms() >= due, 60, pause=0.01)
    return before, due * 1_000_000


def _records(plan: Plan, account: int, due: int) -> Iterator[Control | Work]:
    campaign = campaign_from_octets(account.to_bytes(5, "big"))
    message = LaneMessage(text="Your order is ready", links=[])
    settings = LaneSettings(
        messages=[message], priority="normal", weight=1, deadline=None, unknown="skip", transactional=True
    )
    yield Control(campaign=campaign, revision=1, state="running", settings=settings, at=now_ms())
    each = int(plan.rate * (plan.seconds + SETTLING + 2))
    size = max(SMALLEST_WORK, plan.rate * 10)
    ordinal = 0
    for sender in range(OF_ACCOUNT):
        for start in range(0, each, size):
            count = min(size, each - start)
            yield _work(campaign, account, sender, range(ordinal, ordinal + count), due)
            ordinal += count


def _work(campaign: str, account: int, sender: int, ordinals: range, due: int) -> Work:
    n = len(ordinals)
    return Work(
        campaign=campaign, message=0, account=f"shop{account}", sender=f"s{sender}", at=now_ms(),
        ordinals=list(ordinals), numbers=[FIRST_NUMBER + ordinal for ordinal in ordinals], segments=[1] * n,
        prices=[7900] * n, dues=[(n, due)], reasons=["send_time"], zones=[""], zone=[0] * n, fields={},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the aggregator recorded."""

    rate: float
    messages_in_all: int
    most_of_a_sender: int
    most_over_of_an_account: int
    least_sender: float
    least_account: float
    over: bool


def _seen(stack: Stack, plan: Plan, begin: int, end: int) -> _Seen:
    submissions = stack.submissions()
    senders = np.array([int(sender[5:]) - 2_000_000 for sender in submissions.senders])
    times = submissions.times
    measured = (times >= begin) & (times < end)
    seconds = (end - begin) / 1e9
    counts = np.bincount(senders[measured], minlength=plan.senders).astype(float)
    limits = np.array([plan.account_limit(account) for account in plan.accounts], float)
    is_bound = limits < OF_ACCOUNT * plan.rate
    of_accounts = counts.reshape(-1, OF_ACCOUNT).sum(axis=1)
    most = _most(senders, times)
    over = _most(senders // OF_ACCOUNT, times) - limits.astype(np.int64)
    free = np.repeat(~is_bound, OF_ACCOUNT)
    return _Seen(
        rate=float(counts.sum() / seconds),
        messages_in_all=len(times),
        most_of_a_sender=int(most.max()),
        most_over_of_an_account=int(over.max()),
        least_sender=float(counts[free].min() / seconds / plan.rate) if free.any() else 1.0,
        least_account=float((of_accounts[is_bound] / limits[is_bound]).min() / seconds) if is_bound.any() else 1.0,
        over=bool(most.max() > plan.rate or over.max() > 0),
    )


def _most(whose: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most messages of each in any half-open window of a second."""
    most = np.zeros(whose.max() + 1, np.int64)
    order = np.lexsort((times, whose))
    bounds = np.flatnonzero(np.diff(whose[order])) + 1
    for part in np.split(order, bounds):
        most[whose[part[0]]] = max_in_window(times[part], np.ones(len(part), np.int64))
    return most


def _intents(stack: Stack, begin: int) -> int:
    """INTENT records that were written from then (ns) on."""
    bootstrap = stack.settings.kafka.bootstrap
    logs = (lane_log.records(bootstrap, lane) for lane in range(LANES))
    return sum(isinstance(record, Intent) and record.at * 1_000_000 >= begin for log in logs for _, record in log)
