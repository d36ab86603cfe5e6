"""Caps against a reference that looks at every span hour by hour; the law's and an account's, each with its cause."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.campaign.plan import CampaignPlan, compile_plan
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.limits.caps import LONGEST, Limit, account_limits, cap_of, legal_limits
from pipeline.limits.smart_sending import (
    FIRST_LIMIT,
    HOUR,
    MAY_GO,
    SMART_SENDING,
    Spacing,
    check_and_reserve,
    identity_of,
    read_blocker,
    release,
)
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.quiet_rules import Cap
from schemas.chunk import RecipientChunk
from schemas.lane import Work
from schemas.status import StatusGroup
from tests.pipeline.campaigns import ID, NOW, TERMS, document

DAY = 24 * HOUR
NOON = round(datetime(2027, 1, 14, 17, tzinfo=UTC).timestamp() * 1000)
"""Of a Thursday in Florida."""


@dataclass(frozen=True)
class Ask:
    """A message of an account to some numbers at `at` (hours from NOW)."""

    message: int
    account: int
    at: int
    window: int
    numbers: tuple[int, ...]


@dataclass
class Reference:
    """number -> {message: (hour, account, window)}; looks at each span that begins at a full hour."""

    legal: int
    day: int
    week: int
    held: dict[int, dict[int, tuple[int, int, int]]] = field(default_factory=dict)

    def ask(self, ask: Ask, number: int) -> tuple[int, int]:
        """(rule, hour of the message that is named)."""
        mine = self.held.setdefault(number, {})
        if ask.message in mine:
            return MAY_GO, 0
        close = [
            at for at, _, window in mine.values() if abs(at - ask.at) < _later((ask.at, ask.window), (at, window))
        ]
        if close:
            return SMART_SENDING, min(close)
        everybody = [at for at, _, _ in mine.values()]
        own = [at for at, account, _ in mine.values() if account == ask.account]
        counted = [(everybody if number % 2 else [], self.legal, 24), (own, self.day, 24), (own, self.week, 168)]
        for index, (times, most, span) in enumerate(counted, FIRST_LIMIT):
            if (cause := _overfull(times, ask.at, most, span)) is not None:
                return index, cause
        mine[ask.message] = (ask.at, ask.account, ask.window)
        return MAY_GO, 0


def _later(first: tuple[int, int], second: tuple[int, int]) -> int:
    return max(first, second)[1]


def _overfull(times: list[int], at: int, most: int, span: int) -> int | None:
    """The first message of the first span [start, start + span) around `at` with `most` messages in it."""
    for start in range(at - span + 1, at + 1):
        inside = sorted(time for time in times if start <= time < start + span)
        if len(inside) >= most:
            return inside[0]
    return None


MESSAGES = st.dictionaries(
    st.integers(1, 12), st.tuples(st.integers(1, 2), st.integers(0, 200), st.sampled_from([0, 0, 2, 8])), min_size=1
)
NUMBERS = st.lists(st.integers(1, 6), min_size=1, max_size=6, unique=True).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> list[Ask]:
    messages = draw(MESSAGES)
    asks = draw(st.lists(st.tuples(st.sampled_from(sorted(messages)), NUMBERS), min_size=1, max_size=30))
    return [Ask(message, *messages[message], numbers) for message, numbers in asks]


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5))
def test_as_the_reference_over_every_span(history: list[Ask], legal: int, day: int, week: int) -> None:
    table: dict[int, bytes] = {}
    reference = Reference(legal, day, week)
    for ask in history:
        numbers = np.array(ask.numbers)
        limits = [
            Limit("legal_cap", legal, DAY, None, numbers % 2 == 1),
            *account_limits(ask.account, day, week),
        ]
        identity = ask.account << 48 | ask.message << 8
        at = NOW + ask.at * HOUR
        check = check_and_reserve(table, numbers, at, Spacing(identity, ask.window * HOUR, limits), NOW)
        expected = [reference.ask(ask, number) for number in ask.numbers]
        assert check.rule.tolist() == [rule for rule, _ in expected]
        assert check.blocked_at.tolist() == [NOW + hour * HOUR if rule else 0 for rule, hour in expected]
        again = check_and_reserve(_Frozen(table), numbers, at, Spacing(identity, ask.window * HOUR, limits), NOW)
        assert again.rule.tolist() == check.rule.tolist()


class _Frozen(dict[int, bytes]):
    def __setitem__(self, key: int, value: bytes) -> None:
        raise AssertionError(f"bucket {key} was assigned")


def test_a_span_is_open_at_its_end_and_counts_before_and_after_to_the_millisecond() -> None:
    limits = account_limits(7, 2, None)

    def asked(*offsets: int) -> list[int]:
        table: dict[int, bytes] = {}
        return [
            int(check_and_reserve(table, [9], NOW + offset, Spacing(7 << 48 | nth << 8, 0, limits), NOW).rule[0])
            for nth, offset in enumerate(offsets, 1)
        ]

    assert asked(0, 1, DAY) == [MAY_GO] * 3
    assert asked(0, 1, DAY - 1) == [MAY_GO, MAY_GO, FIRST_LIMIT]
    assert asked(DAY, DAY + 1, 2) == [MAY_GO, MAY_GO, FIRST_LIMIT]
    assert asked(DAY, DAY + 1, 1) == [MAY_GO] * 3
    assert asked(0, DAY - 1, DAY // 2) == [MAY_GO, MAY_GO, FIRST_LIMIT]
    assert asked(0, DAY, DAY // 2) == [MAY_GO] * 3


def test_what_is_given_back_counts_no_more_and_an_old_reservation_without_account_counts_for_nobodys_cap() -> None:
    table: dict[int, bytes] = {}
    limits = account_limits(5, 1, None)
    first, second = 5 << 48 | identity_of("0000000b", 0), 5 << 48 | identity_of("0000000c", 0)
    assert check_and_reserve(table, [9], NOW, Spacing(identity_of("0000000d", 0), 0), NOW).ok.all()
    assert check_and_reserve(table, [9], NOW, Spacing(first, 0, limits), NOW).ok.all()
    assert not check_and_reserve(table, [9], NOW, Spacing(second, 0, limits), NOW).ok.any()
    release(table, [9], identity_of("0000000b", 0))
    assert check_and_reserve(table, [9], NOW, Spacing(second, 0, limits), NOW).ok.all()


def test_the_table_keeps_what_a_weeks_cap_counts() -> None:
    table: dict[int, bytes] = {}
    limits = account_limits(5, None, 2)
    for nth in range(2):
        assert check_and_reserve(table, [9], NOW + nth, Spacing(5 << 48 | nth << 8, 0, limits), NOW).ok.all()
    # Written at the very end of the week by another message, and asked for a message planned a day ago by then.
    later = NOW + LONGEST
    assert check_and_reserve(table, [9], later + DAY, Spacing(6 << 48 | 77 << 8, 0), later + DAY).ok.all()
    assert not check_and_reserve(table, [9], later - 1, Spacing(5 << 48 | 99 << 8, 0, limits), later + DAY).ok.any()
    assert check_and_reserve(table, [9], later + 1, Spacing(5 << 48 | 99 << 8, 0, limits), later + DAY).ok.all()


def test_the_caps_of_the_law_are_those_of_the_place_from_their_day_on() -> None:
    three = Cap(messages=3, hours=24)
    today = NOW // DAY
    begun = (datetime(2021, 7, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    assert [cap_of(("US", region), today, "cautious") for region in ("FL", "OK", "NY", "")] == [
        three,
        three,
        None,
        None,
    ]
    assert [cap_of(("US", "FL"), day, "cautious") for day in (begun - 1, begun)] == [None, three]
    quiet = QuietHours("cautious")
    rule_ids = quiet.rule_ids(["US"], [0] * 4, ["NY", "FL", "OK"], [1, 0, 2, 1])
    [limit] = legal_limits(quiet, rule_ids, NOW)
    assert limit.whom is not None
    assert (limit.messages, limit.span, limit.whom.tolist()) == (3, DAY, [True, False, True, True])
    nobody = QuietHours("none")
    assert legal_limits(nobody, nobody.rule_ids(["US"], [0], ["FL"], [0]), NOW) == []


def test_a_cap_of_zero_or_of_more_than_a_week_is_not_a_cap() -> None:
    for messages, span in ((0, DAY), (1, 0), (1, LONGEST + 1)):
        with pytest.raises(ValueError, match="at most a week"):
            Limit("legal_cap", messages, span)


def campaign(nth: int, week_cap: int | None = None) -> CampaignPlan:
    written = document(id=f"000000{nth:02d}", smart_sending_hours=0, launched=NOON)
    return compile_plan(written, replace(TERMS, quiet=QuietHours("cautious"), week_cap=week_cap))


def people(plan: CampaignPlan) -> RecipientChunk:
    """Two in Florida, one in New York; the first of them is invalid."""
    return RecipientChunk(
        campaign=plan.campaign, revision=2, message=0, first=0, numbers=[12, 13_055_550_001, 12_125_550_001],
        zones=["America/New_York"], zone=[0, 0, 0], countries=["US"], country=[0, 0, 0], regions=["FL", "NY"],
        region=[0, 0, 1], fields={},
    )  # fmt: skip


def outcome(plan: CampaignPlan, table: dict[int, bytes]) -> tuple[list[Work], list[StatusGroup]]:
    decision = decide(people(plan), plan, table, OptOuts(), NOON)
    return [work for _, work in decision.work], [group for status in decision.statuses for group in status.groups]


def test_the_fourth_message_in_a_day_to_florida_is_skipped_and_says_which_was_the_first() -> None:
    table: dict[int, bytes] = {}
    for nth in range(1, 4):
        [work], _ = outcome(campaign(nth), table)
        assert work.ordinals == [1, 2]
    [work], groups = outcome(campaign(4), table)
    assert work.ordinals == [2]
    [group] = [group for group in groups if group.reason == "legal_cap"]
    assert (group.state, group.ordinals) == ("skipped", [1])
    assert group.ids == [f"00000001-0@{NOON}"]
    assert read_blocker(group.ids[0]) == ("00000001", 0, NOON)
    assert outcome(campaign(3), table)[0][0].ordinals == [1, 2], "a chunk read again gets the same answer"


def test_an_accounts_own_cap_counts_its_own_messages_and_the_law_is_named_before_it() -> None:
    table: dict[int, bytes] = {}
    for nth in range(1, 4):
        outcome(campaign(nth, week_cap=3), table)
    work, groups = outcome(campaign(4, week_cap=3), table)
    assert work == []
    assert {(group.reason, tuple(group.ordinals)) for group in groups} == {
        ("invalid_number", (0,)),
        ("legal_cap", (1,)),
        ("account_cap", (2,)),
    }
    others = compile_plan(
        document(id=ID, smart_sending_hours=0, launched=NOON, account="other"),
        replace(TERMS, account_number=8, quiet=QuietHours("cautious"), day_cap=1),
    )
    assert outcome(others, table)[0][0].ordinals == [2]
