"""Everybody in a chunk is decided once, with the first reason that applies, and a replay changes nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.accounts.prices import compiled
from pipeline.campaign.plan import CampaignPlan, compile_plan
from pipeline.campaign.when import dues
from pipeline.content.outgoing import LinkSigner
from pipeline.content.segments import count
from pipeline.content.texts import PLAIN
from pipeline.eligibility import decide as deciding
from pipeline.eligibility.decide import Decision, History, Reason, decide, judge, reason_of
from pipeline.eligibility.optouts import OptOuts
from pipeline.limits.caps import Limit, account_limits
from pipeline.limits.smart_sending import Spacing, check_and_reserve, identity_of, read_blocker
from pipeline.timing.quiet_hours import QuietHours
from schemas.accounts import PriceListSpec
from schemas.chunk import RecipientChunk
from schemas.feedback import Consent
from schemas.lane import LANES
from schemas.status import STATUSES
from schemas.wire import encode
from tests.pipeline.campaigns import HOUR, ID, NOW, TERMS, document, plan, priced

BASE = 12_125_550_000


def chunk(n: int = 4, first: int = 500, **changes: Any) -> RecipientChunk:
    columns = {
        "campaign": ID,
        "revision": 2,
        "message": 0,
        "first": first,
        "numbers": [BASE + first + i for i in range(n)],
        "zones": ["", "America/New_York"],
        "zone": [i % 2 for i in range(n)],
        "countries": ["US", "FR"],
        "country": [i % 2 for i in range(n)],
        "regions": [""],
        "region": [0] * n,
        "fields": {"first_name": [f"Name{i}" for i in range(n)]},
        **changes,
    }
    return RecipientChunk(**columns)


def states(decision: Decision) -> dict[int, str]:
    """Ordinal -> `work`, or state and reason; each ordinal once."""
    pairs = [(ordinal, "work") for _, work in decision.work for ordinal in work.ordinals]
    for status in decision.statuses:
        pairs += [(o, f"{group.state} {group.reason}".strip()) for group in status.groups for o in group.ordinals]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_all_go_to_one_lane_with_their_columns() -> None:
    table: dict[int, bytes] = {}
    decision = decide(chunk(), plan(), table, OptOuts(), NOW)
    [(lane, work)] = decision.work
    assert (lane, decision.statuses) == (2, [])  # ordinals 500..999 are the second chunk, so the second lane
    assert LANES.decode(encode(work)) == work
    assert work.ordinals == [500, 501, 502, 503]
    assert work.dues == [(4, NOW)]
    assert work.prices == [7_900, 40_000, 7_900, 40_000]
    assert work.segments == [1, 1, 1, 1]
    assert work.fields == {"first_name": ["Name0", "Name1", "Name2", "Name3"]}
    assert table


def test_a_price_is_that_of_the_day_on_which_the_message_is_due() -> None:
    entries = [
        {"from": "2000-01-01", "country": "US", "price": "0.01"},
        {"from": "2027-01-16", "country": "US", "price": "0.02"},
        {"from": "2000-01-01", "country": "US", "network": "T-Mobile", "price": "0.005"},
    ]
    prices = compiled(PriceListSpec.model_validate({"prices": entries}))
    carriers = {"first_name": ["a", "b"], "carrier": ["", "t-mobile"]}
    for send_at, price in (("2027-01-15T23:59:00Z", 10_000), ("2027-01-16T00:00:00Z", 20_000)):
        made = compile_plan(
            document(send_at=send_at, smart_sending_hours=0), replace(TERMS, prices=prices, carriers=True)
        )
        assert "carrier" in made.fields
        [(_, work)] = decide(
            chunk(2, 0, countries=["US"], country=[0, 0], fields=carriers), made, {}, OptOuts(), NOW
        ).work
        assert work.prices == [price, 5_000]


def test_each_reason_and_its_columns_left_out() -> None:
    numbers = [BASE + i for i in range(6)]
    numbers[1] = 99_999
    table: dict[int, bytes] = {}
    check_and_reserve(table, [numbers[3], numbers[2]], NOW - HOUR, Spacing(1, 8 * HOUR), NOW)
    texts = ["", "x", "y", "z", "€" * 462, "last"]
    given_chunk = chunk(6, 0, numbers=numbers, fields={"first_name": texts, "unused": texts})
    decision = decide(given_chunk, _nameless_plan(), table, OptOuts([numbers[2], numbers[1]]), NOW)
    assert states(decision) == {
        0: "skipped empty_text",
        1: "skipped invalid_number",
        2: "skipped opted_out",
        3: "skipped smart_sending",
        4: "skipped too_many_segments",
        5: "work",
    }
    [(lane, work)] = decision.work
    assert (lane, work.numbers, work.fields) == (4, [numbers[5]], {"first_name": ["last"]})
    assert (work.zones, work.zone) == (["FR America/New_York"], [0])  # only the keys of those that go
    for status in decision.statuses:
        assert STATUSES.decode(encode(status)) == status


def _nameless_plan() -> CampaignPlan:
    """A plan without the site's name, so that a text can be blank."""
    document_of = document(text="{first_name}")
    return compile_plan(document_of, replace(TERMS, wording=PLAIN))


@pytest.mark.parametrize("status", ["canceled", "sent", "finished"])
def test_if_every_recipient_is_accounted_for_nothing_is_emitted_or_reserved(status: str) -> None:
    """Who was in no lane is withdrawn or was passed over; who was in one may have got the message, whatever they have
    told us since."""
    table: dict[int, bytes] = {}
    for optouts in (OptOuts(), OptOuts([BASE + 500])):
        assert decide(chunk(), plan(status=status), table, optouts, NOW) == Decision()
    assert table == {}


def test_past_the_deadline_a_chunk_goes_to_the_lane_which_knows_what_was_sent_before_it() -> None:
    table: dict[int, bytes] = {}
    for now in (NOW, NOW + HOUR):
        decision = decide(chunk(), plan(deadline="2027-01-15T09:00:00Z"), table, OptOuts(), now)
        assert states(decision) == dict.fromkeys(range(500, 504), "work")


def test_recipients_who_can_only_expire_hold_no_others_back() -> None:
    table: dict[int, bytes] = {}
    deadline = "2027-01-15T09:00:00Z"  # an hour after NOW, in the middle of New York's night
    asleep = replace(TERMS, quiet=QuietHours("cautious"))
    too_late = compile_plan(document(deadline=deadline), asleep)
    assert states(decide(chunk(), too_late, table, OptOuts(), NOW)) == dict.fromkeys(range(500, 504), "work")
    assert table == {}
    in_time = compile_plan(document(deadline=deadline), TERMS)
    decide(chunk(), in_time, table, OptOuts(), NOW)
    assert table
    assert decide(chunk(), in_time, table, OptOuts(), NOW).work, "what is reserved is kept"


def test_a_paused_campaign_is_decided_as_a_running_one() -> None:
    assert states(decide(chunk(), plan(status="paused"), {}, OptOuts(), NOW)) == dict.fromkeys(
        range(500, 504), "work"
    )


def test_transactional_messages_neither_ask_nor_reserve_but_stop_is_stop() -> None:
    table: dict[int, bytes] = {}
    check_and_reserve(table, chunk().numbers, NOW, Spacing(1, 8 * HOUR), NOW)
    before = dict(table)
    decision = decide(chunk(), plan(transactional=True), table, OptOuts([BASE + 500]), NOW)
    assert states(decision) == {500: "skipped opted_out", 501: "work", 502: "work", 503: "work"}
    assert table == before


def test_segments_are_those_of_the_text_with_its_link() -> None:
    compiled = plan(text="{first_name} {link}", links={"default": "https://example.com"})
    given_chunk = chunk(3, fields={"first_name": ["Ann", "é" * 101, "ж" * 60]})
    [(_, work)] = decide(given_chunk, compiled, {}, OptOuts(), NOW).work
    texts = compiled.messages[0].renderer.render(
        ID, 0, work.ordinals, work.fields, LinkSigner(b"0123456789abcdef", compiled.links)
    )
    assert work.segments == [count(text).parts for text in texts] == [1, 2, 2]


@settings(max_examples=60)
@given(st.integers(1, 500), st.integers(0, 3), st.sets(st.integers(0, 499)), st.sets(st.integers(0, 499)))
def test_conserved_and_the_same_when_replayed(n: int, nth: int, out: set[int], texted: set[int]) -> None:
    given_chunk = chunk(n, nth * 500)
    table: dict[int, bytes] = {}
    others = [number for i, number in enumerate(given_chunk.numbers) if i in texted]
    check_and_reserve(table, others, NOW - HOUR, Spacing(1, 8 * HOUR), NOW)
    optouts = OptOuts([number for i, number in enumerate(given_chunk.numbers) if i in out])
    first = decide(given_chunk, plan(), table, optouts, NOW)
    after = dict(table)
    assert sorted(states(first)) == list(range(nth * 500, nth * 500 + n))
    assert [o for o, state in states(first).items() if state == "work"] == [
        nth * 500 + i for i in range(n) if i not in out | texted
    ]
    assert decide(given_chunk, plan(), table, optouts, NOW) == first
    assert table == after


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"revision": 3}, "launched as revision 3 met the plan"),
        ({"campaign": "0000000b"}, "a chunk of 0000000b"),
        ({"message": 1}, "has no message 1"),
    ],
)
def test_a_chunk_that_does_not_fit_the_plan_is_a_failure(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decide(chunk(**changes), plan(), {}, OptOuts(), NOW)


def test_a_plan_without_senders_is_a_failure() -> None:
    with pytest.raises(ValueError, match="has no senders"):
        decide(chunk(), compile_plan(document(lanes=[]), TERMS), {}, OptOuts(), NOW)


SKIPS = deciding._REASONS
DAY = 24 * HOUR
SHORT, NOWHERE = 99_999, 8_781_230_000_000


class Carriers:
    """Says of everybody that a carrier does not reach them, or of nobody."""

    def __init__(self, *, reach_nobody: bool) -> None:
        self._answer = reach_nobody

    def mask(self, numbers: Any, now: int, retry_days: int) -> Any:
        return np.full(len(numbers), self._answer)


def _given(applies: set[Reason], monkeypatch: pytest.MonkeyPatch) -> str:
    """The reason that a recipient is given to whom all of these apply; "" for one who gets the message."""
    number = SHORT if Reason.INVALID_NUMBER in applies else NOWHERE if Reason.UNKNOWN_ZONE in applies else BASE
    optouts = OptOuts([number] if Reason.OPTED_OUT in applies else [])
    if Reason.HELD_FOR_REVIEW in applies:
        optouts.apply(Consent(number=number, state="held", hold="aa", at=NOW, source="inbound"))
    empty = " " * 400 if Reason.TOO_MANY_SEGMENTS in applies else ""
    text = empty if Reason.EMPTY_TEXT in applies else "x" * len(empty) or "x"
    given_chunk = chunk(
        1,
        numbers=[number],
        zones=["" if Reason.UNKNOWN_ZONE in applies else "America/New_York"],
        countries=["US"],
        fields={"first_name": [text]},
    )
    window = 8 if Reason.SMART_SENDING in applies else 0
    prices = priced(FR="0.08") if Reason.NO_PRICE in applies else TERMS.prices
    terms = replace(TERMS, wording=PLAIN, max_segments=1, unknown_zone="skip", prices=prices)
    made = compile_plan(document(text="{first_name}", smart_sending_hours=window), terms)
    tag = TERMS.account_number
    if Reason.ACCOUNT_CAP in applies:
        made = replace(made, caps=account_limits(tag, 1, None))
    legal = [Limit(Reason.LEGAL_CAP, 1, DAY)] if Reason.LEGAL_CAP in applies else []
    monkeypatch.setattr(deciding, "legal_limits", lambda *_: legal)

    def when(*given: Any) -> Any:
        return replace(
            dues(*given),
            passed=np.array([Reason.LOCAL_TIME_PASSED in applies]),
            never=np.array([Reason.NO_ALLOWED_HOURS in applies]),
        )

    monkeypatch.setattr(deciding, "dues", when)
    table: dict[int, bytes] = {}
    if applies & {Reason.SMART_SENDING, Reason.LEGAL_CAP, Reason.ACCOUNT_CAP}:
        check_and_reserve(table, [number], NOW - HOUR, Spacing(identity_of("0000000z", 0, tag), 0), NOW)
    history = History(table, optouts, Carriers(reach_nobody=Reason.UNREACHABLE in applies))
    code = int(judge(given_chunk, 0, made, history, NOW).reasons[0])
    return reason_of(code) if code else ""


def test_each_reason_is_given_where_it_applies_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _given(set(), monkeypatch) == ""
    for reason in SKIPS:
        if reason != Reason.INVALID_NUMBER:  # nobody knows the zone of a number that is too short
            assert _given({reason}, monkeypatch) == reason
    assert _given({Reason.INVALID_NUMBER}, monkeypatch) == Reason.INVALID_NUMBER


@pytest.mark.parametrize(("first", "second"), list(combinations(SKIPS, 2)))
def test_of_two_reasons_that_apply_the_first_of_the_list_is_given(
    first: Reason, second: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _given({first, second}, monkeypatch) == first


def test_reasons_are_listed_in_the_order_in_which_they_are_given() -> None:
    assert list(SKIPS) == list(Reason)[: len(SKIPS)]


def test_reasons_are_words() -> None:
    assert all(reason.value.isidentifier() for reason in Reason)


def test_a_recipient_skipped_for_smart_sending_is_shown_with_the_message_and_time() -> None:
    table: dict[int, bytes] = {}
    asked = chunk(3)
    earlier = identity_of("0000000z", 2)
    assert check_and_reserve(table, asked.numbers[1:], NOW - HOUR, Spacing(earlier, 0), NOW).ok.all()
    decided = decide(asked, plan(smart_sending_hours=168), table, OptOuts(), NOW)
    (group,) = [group for status in decided.statuses for group in status.groups]
    assert (group.reason, group.ordinals) == ("smart_sending", [501, 502])
    assert group.ids == [f"0000000z-2@{NOW - HOUR}"] * 2
    assert read_blocker(group.ids[0]) == ("0000000z", 2, NOW - HOUR)
    assert read_blocker("SM0123456789") is None
