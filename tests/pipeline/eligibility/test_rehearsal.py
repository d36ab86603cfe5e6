"""A rehearsal counts what eligibility then decides, chunk by chunk, and reserves nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.audience.fanout import chunks
from pipeline.campaign.money import cost
from pipeline.campaign.plan import compile_plan
from pipeline.eligibility.decide import History, decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.rehearsal import ReadOnlyTable, Rehearsal, rehearse
from pipeline.limits.smart_sending import Spacing, check_and_reserve
from pipeline.timing.quiet_hours import QuietHours
from schemas.campaign import CampaignDocument
from schemas.chunk import FanoutRange
from simulation.audience import sample
from tests.pipeline.campaigns import HOUR, NOW, TERMS, document

N = 6_000


def plan_of(doc: CampaignDocument, quiet: str = "cautious", day_cap: int | None = 2):  # type: ignore[no-untyped-def]
    return compile_plan(doc, replace(TERMS, quiet=QuietHours(quiet), day_cap=day_cap))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "doc",
    [
        document(text="{first_name}"),
        document(text="Hi {first_name|there} of {city}: " + "x" * 150),
        document(local_time=True, send_at="2027-01-15T03:00:00", if_passed="skip"),
        document(deadline="2027-01-15T10:30:00Z", smart_sending_hours=24),
        document(transactional=True, text="Code {orders}"),
    ],
    ids=["empty", "segments", "local", "deadline", "transactional"],
)
def test_it_counts_what_eligibility_decides(doc: CampaignDocument) -> None:
    audience = sample(N, 3, ("first_name", "city", "orders"))
    numbers = np.asarray(audience.page.numbers, np.uint64)
    consent = OptOuts(audience.opted_out)
    table: dict[int, bytes] = {}
    for at, part in ((NOW - HOUR, 5), (NOW - 9 * HOUR, 3), (NOW - 20 * HOUR, 3)):
        check_and_reserve(table, numbers[::part], at, Spacing(at % 1000, 0), NOW)
    plan = plan_of(doc)
    before = dict(table)
    actual = Rehearsal()
    _, goes = rehearse(actual, audience.page, plan, 0, History(ReadOnlyTable(table), consent), NOW)
    assert table == before
    task = FanoutRange(campaign=doc.id, revision=2, message=0, first=0, last=N)
    skipped: Counter[str] = Counter()
    going, expiring, spend = 0, 0, 0
    for _, chunk in chunks(task, audience.page, 8):
        decision = decide(chunk, plan, table, consent, NOW)
        for status in decision.statuses:
            skipped.update({group.reason: len(group.ordinals) for group in status.groups})
        for _, work in decision.work:
            dues = np.repeat([due for _, due in work.dues], [count for count, _ in work.dues])
            late = np.zeros(len(dues), bool) if plan.deadline is None else dues >= plan.deadline
            expiring += int(late.sum())
            going += int((~late).sum())
            spend += cost(np.array(work.segments)[~late].tolist(), np.array(work.prices)[~late].tolist())
    assert (actual.skipped, actual.going, actual.expiring) == (skipped, going, expiring)
    assert (actual.cost, int(goes.sum())) == (spend, going)
    assert actual.recipients == N == going + expiring + skipped.total()
    assert sum(crowd.recipients for crowd in actual.crowds.values()) == going + expiring
    assert plan.transactional or skipped["smart_sending"] or skipped["account_cap"] or skipped["local_time_passed"]


def test_pages_add_up() -> None:
    audience = sample(1_000, 4, ("first_name",))
    whole, plan = Rehearsal(), plan_of(document())
    rehearse(whole, audience.page, plan, 0, History({}, OptOuts(audience.opted_out)), NOW)
    added = Rehearsal()
    task = FanoutRange(campaign="0000000a", revision=2, message=0, first=0, last=1_000)
    for _, chunk in chunks(task, audience.page, 8):
        names = ("numbers", "zones", "zone", "countries", "country", "regions", "region", "fields")
        page = replace(audience.page, **{name: getattr(chunk, name) for name in names})
        rehearse(added, page, plan, 0, History({}, OptOuts(audience.opted_out)), NOW)
    assert (added.recipients, added.skipped, added.going) == (whole.recipients, whole.skipped, whole.going)
    assert (added.segments, added.cost) == (whole.segments, whole.cost)
