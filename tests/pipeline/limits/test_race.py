"""Twenty campaigns to the same people at once: no window is broken in any order, and nobody is left out for nothing.

"The best" is what an oracle that knows all twenty campaigns could send at most. Where they are planned for the same
time, as campaigns launched at once are, that is one message for each recipient (as many as the cap where there is no
window), and every order must reach it. Where their times lie apart, what is reserved first stays, so the best is with
regard to what came first: who is skipped must be held back by a reservation that holds, and is told by which.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.campaign.plan import CampaignPlan, compile_plan
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.identity.buckets import hashes
from pipeline.limits.caps import account_limits
from pipeline.limits.smart_sending import HOUR, Spacing, check_and_reserve, identity_of, read_blocker, release
from schemas.chunk import RecipientChunk
from tests.pipeline.campaigns import NOW, TERMS, document

CAMPAIGNS = 20
PEOPLE = 50_000
CHUNK = 500
WINDOW = 8 * HOUR
FIRST = 12_125_000_000


def numbers_of(people: int) -> np.ndarray:
    """In the order of ordinals."""
    numbers = np.arange(FIRST, FIRST + people, dtype=np.uint64)
    return numbers[np.argsort(hashes(numbers) >> np.uint64(52), kind="stable")]


def shuffled(rng: np.random.Generator, chunks: int) -> list[tuple[int, int]]:
    """(campaign, chunk): those of a campaign in order, the campaigns interleaved at random; a tenth comes twice."""
    turns = np.repeat(np.arange(CAMPAIGNS), chunks)
    rng.shuffle(turns)
    following = [0] * CAMPAIGNS
    order: list[tuple[int, int]] = []
    for campaign in turns.tolist():
        order.append((campaign, following[campaign]))
        following[campaign] += 1
        if rng.random() < 0.1:
            order.append(order[rng.integers(len(order))])
    return order


def test_fifty_thousand_people_get_one_message_each_of_twenty_campaigns_launched_at_once() -> None:
    rng = np.random.default_rng(5)
    numbers = numbers_of(PEOPLE)
    at = NOW + rng.integers(0, 3000, CAMPAIGNS)
    got = np.zeros((CAMPAIGNS, PEOPLE), np.bool_)
    table: dict[int, bytes] = {}
    for campaign, chunk in shuffled(rng, PEOPLE // CHUNK):
        theirs = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        identity = identity_of(f"000000{campaign:02d}", 0)
        check = check_and_reserve(table, numbers[theirs], int(at[campaign]), Spacing(identity, WINDOW), NOW)
        got[campaign, theirs] = check.ok
    assert (got.sum(axis=0) == 1).all(), "the best: everybody one"
    assert (got.sum(axis=1) > 0).sum() > 5, "it was no race"
    rows = np.frombuffer(b"".join(table.values()), "<u8").reshape(-1, 3)
    assert len(np.unique(rows[:, 0])) == len(rows) == PEOPLE


def test_fifty_thousand_people_get_as_many_as_the_account_lets_them_where_there_is_no_window() -> None:
    rng = np.random.default_rng(6)
    numbers = numbers_of(PEOPLE)
    limits = account_limits(7, 3, 5)
    got = np.zeros(PEOPLE, np.int64)
    seen: set[tuple[int, int]] = set()
    table: dict[int, bytes] = {}
    # Half of the campaigns today, half four days later: three a day, and of the second three the week leaves two.
    at = NOW + np.where(np.arange(CAMPAIGNS) % 2, 0, 96 * HOUR) + np.arange(CAMPAIGNS)
    for campaign, chunk in shuffled(rng, PEOPLE // CHUNK):
        theirs = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        identity = identity_of(f"000000{campaign:02d}", 0, 7)
        check = check_and_reserve(table, numbers[theirs], int(at[campaign]), Spacing(identity, 0, limits), NOW)
        if (campaign, chunk) not in seen:
            seen.add((campaign, chunk))
            got[theirs] += check.ok
    assert (got == 5).all()


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 40), min_size=CAMPAIGNS, max_size=CAMPAIGNS))
def test_any_order_of_chunks_cancels_and_replays_keeps_every_window_and_skips_nobody_for_nothing(
    choose: object, hours: list[int]
) -> None:
    rng = np.random.default_rng(choose.getrandbits(32))  # type: ignore[attr-defined]
    people = 60
    numbers = numbers_of(people)
    plans = [plan(nth, NOW + hour * HOUR, nth % 3 * 4) for nth, hour in enumerate(hours)]
    table: dict[int, bytes] = {}
    got: dict[int, dict[int, int]] = {}
    canceled: set[int] = set()
    for campaign, nth in shuffled(rng, 3):
        if rng.random() < 0.03 and campaign not in canceled:
            canceled.add(campaign)
            for mine in got.values():
                mine.pop(campaign, None)
            release(table, numbers, identity_of(plans[campaign].campaign, 0))
        if campaign in canceled:
            continue
        decision = decide(chunk_of(plans[campaign], numbers, nth * 20), plans[campaign], table, OptOuts(), NOW)
        for _, work in decision.work:
            for number in work.numbers:
                got.setdefault(number, {})[campaign] = plans[campaign].due
        for status in decision.statuses:
            for group in status.groups:
                assert group.ids is not None
                for ordinal, cause in zip(group.ordinals, group.ids, strict=True):
                    _justified(got[int(numbers[ordinal])], plans, campaign, group.reason, cause)
    for mine in got.values():
        sent = sorted((at, plans[campaign].window) for campaign, at in mine.items())
        for index, (at, _) in enumerate(sent):
            assert all(later - at >= window for later, window in sent[index + 1 :])
            assert sum(at <= other < at + 24 * HOUR for other, _ in sent) <= 2


def _justified(mine: dict[int, int], plans: list[CampaignPlan], campaign: int, reason: str, cause: str) -> None:
    """The skip names a message that its recipient is to get, and that one is in the way."""
    actual = read_blocker(cause)
    assert actual is not None
    blocker = next(nth for nth, item in enumerate(plans) if item.campaign == actual[0])
    assert mine[blocker] == actual[2]
    me, other = (plans[campaign].due, plans[campaign].window), (mine[blocker], plans[blocker].window)
    if reason == "smart_sending":
        assert abs(me[0] - other[0]) < max(me, other)[1]
    else:
        assert reason == "account_cap"
        assert abs(me[0] - other[0]) < 24 * HOUR
        assert len(mine) >= 2


def plan(nth: int, at: int, window: int) -> CampaignPlan:
    written = document(id=f"000000{nth:02d}", smart_sending_hours=window, launched=at)
    return compile_plan(written, replace(TERMS, day_cap=2))


def chunk_of(plan: CampaignPlan, numbers: np.ndarray, first: int) -> RecipientChunk:
    theirs = numbers[first : first + 20].tolist()
    n = len(theirs)
    return RecipientChunk(
        campaign=plan.campaign, revision=2, message=0, first=first, numbers=theirs, zones=["America/New_York"],
        zone=[0] * n, countries=["US"], country=[0] * n, regions=["NY"], region=[0] * n, fields={},
    )  # fmt: skip
