"""What becomes of alerts: each destination once, no more than the hour allows, and a replay changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.deliveries import (
    HOUR,
    HOURLY,
    KEPT,
    MOST_HELD,
    TRY_FOR,
    Change,
    NoText,
    attempted,
    open_deliveries,
    pause_after,
    pruned,
    release,
    results,
    take,
    texted,
)
from schemas.alerts import (
    ALERT_DELIVERIES,
    Alert,
    AlertAttempt,
    AlertDocument,
    AlertKind,
    AlertRelease,
    Delivery,
    Destination,
    alert_id,
)
from schemas.feedback import SentReply
from schemas.wire import encode

START = 1_700_000_000_000
MAIL, HOOK = Destination("email", "ann@shop.example"), Destination("webhook", "https://shop.example/hook")
PHONE, OTHER = Destination("sms", "+12125550123"), Destination("sms", "+12125550124")


def alert(number: int, about: AlertKind = "campaign_suspended", subject: str | None = None, at: int = START) -> Alert:
    subject = f"c{number}" if subject is None else subject
    return Alert(
        id=alert_id(about, "shop", number), account="shop", about=about, subject=subject, at=at, text=f"No. {number}"
    )


def text_message(destination: Destination, alerts: object, index: int) -> SentReply | NoText:
    return SentReply(
        kind="alert", campaign="0000abcd", message=0, ordinal=index, lane=0, account="shop", sender="main", text="Hi",
        segments=1, price=1, at=START, due=START, offset=0, cause="x",
    )  # fmt: skip


@dataclass
class Account:
    """An account's documents through changes, as the step stores them."""

    destinations: list[Destination] = field(default_factory=lambda: [MAIL])
    documents: dict[str, AlertDocument] = field(default_factory=dict)
    place: int = 0

    def change(self, change: Change, now: int) -> Change:
        texted(change, text_message, now)
        pruned(change, self.documents, now)
        # What is stored can be read back.
        for name, document in change.documents.items():
            if document is None:
                self.documents.pop(name, None)
            else:
                self.documents[name] = ALERT_DELIVERIES.decode(encode(document))
        return change

    def take(self, item: Alert, now: int = START, place: int | None = None) -> Change:
        self.place += 1
        where = self.place if place is None else place
        return self.change(take(item, where, self.destinations, self.documents, now), now)

    def release(self, now: int, destination: Destination = MAIL) -> Change:
        record = AlertRelease(account="shop", channel=destination.channel, to=destination.to, at=now)
        return self.change(release(record, self.documents, now), now)

    def attempt(self, item: Delivery, outcome: str, at: int) -> Change:
        record = AlertAttempt(
            account="shop", channel=item.channel, to=item.to, batch=item.batch, attempt=item.attempts, at=at,
            outcome=outcome, problem="why",  # type: ignore[arg-type]
        )  # fmt: skip
        return self.change(attempted(record, self.documents), at)

    def at(self, item: Alert, destination: Destination = MAIL) -> Delivery:
        [found] = [one for one in self.documents[item.id].deliveries if one.destination == destination]
        return found


def test_each_destination_gets_it_by_itself_and_a_text_message_is_handed_over_at_once() -> None:
    shop = Account([MAIL, HOOK, PHONE, MAIL])
    one = alert(1)
    change = shop.take(one)
    assert [item.destination for item in shop.documents[one.id].deliveries] == [MAIL, HOOK, PHONE], "none twice"
    assert [shop.at(one, to).state for to in (MAIL, HOOK, PHONE)] == ["waiting", "waiting", "sent"]
    assert results(change, {}) == [("sms", "sent")]
    shop.attempt(shop.at(one, HOOK), "again", START + 10)
    assert (shop.at(one, HOOK).attempts, shop.at(one, MAIL).attempts) == (1, 0)
    shop.attempt(shop.at(one, MAIL), "sent", START + 20)
    assert [shop.at(one, to).state for to in (MAIL, HOOK, PHONE)] == ["sent", "waiting", "sent"]


def test_the_same_alert_again_changes_nothing_whoever_says_it() -> None:
    shop = Account([MAIL, PHONE])
    one = alert(1)
    shop.take(one, place=7)
    assert shop.take(one, place=7).documents == {}, "the record is read again"
    assert shop.take(one, place=9).documents == {}, "a step has written it again"


def test_an_attempt_is_counted_once_though_its_record_is_read_again() -> None:
    shop = Account()
    one = alert(1)
    shop.take(one)
    first = shop.at(one)
    shop.attempt(first, "again", START + 1)
    assert shop.attempt(first, "again", START + 1).documents == {}
    assert shop.attempt(first, "refused", START + 9).documents == {}, "of an attempt that is over"
    assert shop.at(one).attempts == 1


def test_it_is_tried_for_a_day_with_longer_and_longer_pauses_then_given_up() -> None:
    shop = Account()
    one = alert(1)
    shop.take(one)
    now, pauses = START, []
    while (item := shop.at(one)).state == "waiting":
        pauses.append(item.due - now)
        now = item.due + 10_000
        change = shop.attempt(item, "again", now)
    assert change.given_up.keys() == {one.id}
    assert item.state == "failed"
    assert now <= START + TRY_FOR
    assert now > START + TRY_FOR - 2 * HOUR, "nearly all of it was used"
    assert 15 < len(pauses) < 50
    assert pauses[1] < 10_000 < pauses[3] < pauses[5] < HOUR * 1.3


def test_refused_is_given_up_at_once_and_removed_is_nobodys_failure() -> None:
    shop = Account([MAIL, HOOK])
    one = alert(1)
    shop.take(one)
    assert shop.attempt(shop.at(one, HOOK), "removed", START + 1).given_up == {}
    assert shop.attempt(shop.at(one), "refused", START + 1).given_up.keys() == {one.id}
    assert (shop.at(one).state, shop.at(one, HOOK).state) == ("failed", "removed")


def test_a_replayed_alert_is_tried_again_where_it_failed_and_nowhere_else() -> None:
    shop = Account([MAIL, HOOK])
    one = alert(1)
    shop.take(one)
    shop.attempt(shop.at(one, HOOK), "sent", START + 1)
    shop.attempt(shop.at(one), "refused", START + 2)
    shop.take(one, START + HOUR, place=99)
    assert (shop.at(one).state, shop.at(one).attempts) == ("waiting", 0)
    assert shop.at(one, HOOK).state == "sent"
    assert shop.documents[one.id].place == 99, "the next dead letter has another origin"


def test_more_than_the_hour_allows_goes_as_one_message_later() -> None:
    shop = Account([MAIL, PHONE])
    alerts = [alert(number, at=START + number) for number in range(HOURLY + 5)]
    for item in alerts:
        shop.take(item, now=item.at)
    for destination in (MAIL, PHONE):
        states = [shop.at(item, destination).state for item in alerts]
        assert states == ["waiting" if destination is MAIL else "sent"] * HOURLY + ["held"] * 5
    due = shop.at(alerts[-1]).due
    assert due == START + HOUR, "when the first of the hour is an hour old"
    assert shop.release(START + HOUR - 1).documents.keys() == {item.id for item in alerts[HOURLY:]}
    assert {shop.at(item).state for item in alerts[HOURLY:]} == {"held"}, "too early"
    shop.release(due)
    shop.release(due, PHONE)
    batches = {shop.at(item).batch for item in alerts[HOURLY:]}
    assert len(batches) == 1
    assert shop.release(due).documents == {}, "read again"
    texts = [text for item in alerts[HOURLY:] if (text := shop.at(item, PHONE).sms) is not None]
    assert len(texts) == 5
    assert {(text.campaign, text.message, text.ordinal) for text in texts} == {("0000abcd", 0, 0)}, "one message"
    shop.attempt(shop.at(alerts[-1]), "sent", due + 5)
    assert {shop.at(item).state for item in alerts[HOURLY:]} == {"sent"}


def test_a_newer_alert_about_the_same_thing_takes_the_place_of_a_held_one() -> None:
    shop = Account()
    for number in range(HOURLY):
        shop.take(alert(number))
    flapping = [alert(100 + number, subject="c9", at=START + number) for number in range(50)]
    for item in flapping:
        shop.take(item, now=item.at)
    assert [shop.at(item).state for item in flapping if item.id in shop.documents][-1] == "held"
    assert sum(item.state == "held" for _, item in open_deliveries(shop.documents.values())) == 1


def test_what_is_held_has_a_bound() -> None:
    shop = Account()
    for number in range(HOURLY + 3 * MOST_HELD):
        shop.take(alert(number, at=START + number), now=START + number)
    held = [found.alert for found in shop.documents.values() if found.deliveries[0].state == "held"]
    assert len(held) == MOST_HELD
    assert max(one.at for one in held) == START + HOURLY + 3 * MOST_HELD - 1, "the newest stay"
    assert len(shop.documents) <= HOURLY + MOST_HELD + KEPT


def test_old_alerts_are_forgotten_but_for_those_still_to_be_delivered() -> None:
    shop = Account()
    waiting = alert(0)
    shop.take(waiting)
    for number in range(1, KEPT + 50):
        now = START + number * HOUR
        item = alert(number, at=now)
        shop.take(item, now=now)
        shop.attempt(shop.at(item), "sent", now)
    assert len(shop.documents) == KEPT + 1
    assert waiting.id in shop.documents
    late = alert(10**6, at=START + 400 * 24 * HOUR)
    shop.take(late, now=late.at)
    assert shop.documents.keys() == {waiting.id, late.id}


def test_what_was_forgotten_is_not_told_again_when_the_log_is_read_from_the_start() -> None:
    shop = Account()
    alerts = [alert(number, at=START + number * HOUR) for number in range(KEPT + 20)]
    for place, item in enumerate(alerts):
        shop.take(item, now=item.at, place=place)
        shop.attempt(shop.at(item), "sent", item.at)
    assert alerts[0].id not in shop.documents
    before = dict(shop.documents)
    for place, item in enumerate(alerts):
        shop.take(item, now=alerts[-1].at, place=place)
    assert shop.documents == before


def test_a_test_is_tried_once_and_takes_nothing_from_the_hour() -> None:
    shop = Account()
    tests = [alert(number, "test", at=START + number) for number in range(HOURLY + 1)]
    for item in tests:
        shop.take(item, now=item.at)
    assert [shop.at(item).state for item in tests] == ["waiting"] * HOURLY + ["failed"]
    assert "10 tests" in shop.at(tests[-1]).problem
    assert shop.attempt(shop.at(tests[0]), "again", START + 5).given_up == {}
    assert shop.at(tests[0]).state == "failed"
    real = alert(500)
    shop.take(real)
    assert shop.at(real).state == "waiting"
    shop.take(tests[0], place=77)
    assert shop.at(tests[0]).state == "failed", "nobody waits for a test anymore"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_text_message_that_cannot_be_sent_is_said(wanted: bool) -> None:
    one = alert(1)
    change = take(one, 1, [PHONE, OTHER], {}, START)
    texted(change, lambda *_: NoText("no sender", wanted), START)
    document = change.documents[one.id]
    assert document is not None
    assert [(item.state, item.problem) for item in document.deliveries] == [("failed", "no sender")] * 2
    assert bool(change.given_up) == wanted, "nobody needs to mend what a person has asked for"


def test_pauses_are_spread() -> None:
    pauses = {pause_after(1, alert(number).id) for number in range(50)}
    assert len(pauses) > 10
    assert 4_000 <= min(pauses) <= max(pauses) <= 6_000


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("alert"), st.integers(0, 40), st.integers(0, 4)),
        st.tuples(st.just("again"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("sent"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 90), st.just(0)),
    ),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_a_destination_gets_no_more_than_the_hour_allows_and_everything_ends(
    steps: list[tuple[str, int, int]],
) -> None:
    shop, now = Account([MAIL, PHONE]), START
    sent: dict[Destination, list[tuple[int, str]]] = {MAIL: [], PHONE: []}
    told: set[str] = set()

    def note(change: Change) -> None:
        for document in change.documents.values():
            for item in document.deliveries if document is not None else ():
                if item.released == now and item.batch not in {batch for _, batch in sent[item.destination]}:
                    sent[item.destination].append((now, item.batch))

    for what, number, subject in steps:
        if what == "wait":
            now += number * 60_000
            for destination in (MAIL, PHONE):
                dues = [one.due for _, one in open_deliveries(shop.documents.values())
                        if one.state == "held" and one.destination == destination]  # fmt: skip
                if dues and min(dues) <= now:
                    note(shop.release(now, destination))
        elif what == "alert":
            item = alert(number, subject=f"c{subject}", at=now)
            told.add(item.id)
            note(shop.take(item, now))
        else:
            waiting = [one for _, one in open_deliveries(shop.documents.values()) if one.state == "waiting"]
            if waiting:
                one = waiting[number % len(waiting)]
                shop.attempt(one, what, max(now, one.due))
        for times in sent.values():
            assert all(
                later[0] - earlier[0] >= HOUR for earlier, later in zip(times, times[HOURLY:], strict=False)
            ), "no more than so many in any hour"
        # Nothing waits for a turn that never comes.
        for _, one in open_deliveries(shop.documents.values()):
            assert one.due <= now + 2 * HOUR
    assert shop.documents.keys() <= told
