"""Many senders in one lane: limits of senders and accounts, exact and used, and changed while they send."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.sending.senders.schedule import Schedule
from schemas.lane import SenderId
from tests.pipeline.lane.records import account_terms, control, sender_terms
from tests.pipeline.sending.host import START_MS, Arrival, Scene, most_in_a_second

A = "aaaaaaaa"


def lane(
    senders: dict[SenderId, float],
    accounts: dict[str, float],
    campaigns: tuple[str, ...] = (A,),
    begins: float = 100.0,
) -> Scene:
    """A lane whose owner knows its senders and accounts, each with its limit, and running campaigns; its clock begins
    at `begins` (s)."""
    scene = Scene()
    scene.seconds = begins
    for account, rate in accounts.items():
        scene.add(account_terms(account, rate, at=scene.ms))
    for sender, rate in senders.items():
        scene.add(sender_terms(sender, rate, at=scene.ms))
    for campaign in campaigns:
        scene.add(control(campaign, transactional=True, at=scene.ms))
    scene.own()
    scene.run(0.1)
    return scene


def test_hundreds_of_slow_senders_each_use_their_limit_and_share_intents() -> None:
    senders = {(f"shop{n % 40}", f"line{n}"): 3.0 for n in range(200)}
    scene = lane(senders, {f"shop{n}": 10_000.0 for n in range(40)})
    for number, sender in enumerate(senders):
        scene.queue(A, sender, 100, first=1000 * number, chunk=50)
    scene.run(3.0)
    since = scene.seconds
    scene.run(25.0)
    of: dict[SenderId, list[Arrival]] = {sender: [] for sender in senders}
    for arrival in scene.arrivals:
        of[arrival.account, arrival.sender].append(arrival)
    for sender, arrivals in of.items():
        assert most_in_a_second(arrivals) <= 3
        assert sum(item.ms >= START_MS + 1000 * since for item in arrivals) >= 0.98 * 3 * 25, sender
    intents = [intent for at, intent in scene.written if at >= since]
    each = sum(len(intent.picks) for intent in intents) / len(intents)
    print(f"{each:.1f} picks an INTENT, {len(intents) / 25:.1f} INTENTs a second")
    assert each >= 5


@pytest.mark.parametrize(("busy", "expected"), [(10, 30.0), (4, 30.0), (1, 10.0)])
def test_an_accounts_limit_is_used_by_whoever_of_its_senders_has_work(busy: int, expected: float) -> None:
    senders = {("shop", f"line{n}"): 10.0 for n in range(10)}
    scene = lane(senders, {"shop": 30.0})
    for number, sender in enumerate(list(senders)[:busy]):
        scene.queue(A, sender, 1000, first=1000 * number)
    scene.run(3.0)
    since = scene.seconds
    scene.run(40.0)
    assert most_in_a_second(scene.got()) <= 30
    assert scene.rate(since, since + 40.0) >= 0.98 * expected
    for number in range(busy):
        of = f"line{number}"
        assert most_in_a_second(scene.got(sender=of)) <= 10
        share = scene.rate(since, since + 40.0, sender=of)
        assert share == pytest.approx(expected / busy, rel=0.05), of


def test_an_accounts_limit_is_exact_over_senders_that_do_not_stand_in_one_line() -> None:
    rates = {("shop", "fast"): 1000.0, ("shop", "slow"): 300.0, ("shop", "elsewhere"): 300.0}
    scene = lane(rates, {"shop": 900.0})
    scene.add(sender_terms(("shop", "elsewhere"), 300.0, 2, aggregator="other", at=scene.ms))
    for number, sender in enumerate(rates):
        scene.queue(A, sender, 15_000, first=20_000 * number)
    scene.run(3.0)
    since = scene.seconds
    scene.run(10.0)
    assert most_in_a_second(scene.got()) <= 900
    assert scene.rate(since, since + 10.0) >= 0.98 * 900
    for (_, sender), rate in rates.items():
        assert most_in_a_second(scene.got(sender=sender)) <= rate
        assert scene.rate(since, since + 10.0, sender=sender) > 0


@pytest.mark.parametrize("sizes", [(1, 3), (2, 5)])
def test_messages_of_several_segments_stay_within_all_limits(sizes: tuple[int, int]) -> None:
    senders = {("shop", f"line{n}"): 20.0 for n in range(5)}
    scene = lane(senders, {"shop": 50.0})
    for number, sender in enumerate(senders):
        for size in sizes:
            scene.queue(A, sender, 500, first=2000 * number + 1000 * (size == sizes[1]), segments=size)
    scene.run(43.0)
    assert most_in_a_second(scene.got()) <= 50
    for _, sender in senders:
        assert most_in_a_second(scene.got(sender=sender)) <= 20


@pytest.mark.parametrize(
    ("before", "after"),
    [(100.0, 30.0), (30.0, 100.0), (800.0, 2000.0), (2000.0, 800.0), (3.0, 1.0), (1.0, 3.0)],
)
@pytest.mark.parametrize("level", ["sender", "account"])
def test_a_changed_limit_holds_from_its_place_in_the_log(before: float, after: float, level: str) -> None:
    is_sender = level == "sender"
    sender: SenderId = ("shop", "main")
    scene = lane({sender: before if is_sender else 5000.0}, {"shop": 9000.0 if is_sender else before})
    scene.queue(A, sender, int(30 * max(before, after)))
    scene.run(8.0)
    changed = scene.seconds
    if is_sender:
        scene.add(sender_terms(sender, after, 2, at=scene.ms))
    else:
        scene.add(account_terms("shop", after, 2, at=scene.ms))
    scene.run(15.0)
    assert most_in_a_second(scene.got(until=changed)) <= before
    assert most_in_a_second(scene.got(since=changed)) <= max(before, after)
    assert most_in_a_second(scene.got(since=changed + 1.0)) <= after, "windows that begin a second later"
    assert scene.rate(changed + 3.0, changed + 13.0) >= 0.98 * after


@pytest.mark.parametrize("begins", [100.0, 20_707.599935697, 86_400.125, 3_000_001.3])
def test_a_turn_that_comes_early_by_just_as_much_as_it_may_does_not_come_forever(
    begins: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 3 of 25 segments/s the pace waits for 0.12 - 0.1 s, which is how early a turn may come, but for rounding:
    seen to keep a worker busy with one sender forever."""
    taken = 0
    pop = Schedule.pop

    def counted(schedule: Schedule[Any], until: float) -> Any:
        nonlocal taken
        taken += 1
        assert taken < 50_000, "the same turn comes again and again"
        return pop(schedule, until)

    monkeypatch.setattr(Schedule, "pop", counted)
    rates = {("shop", f"line{n}"): rate for n, rate in enumerate((25.0, 50.0, 75.0, 100.0, 150.0))}
    scene = lane(rates, {"shop": 10_000.0}, begins=begins)
    for step in range(200):
        for number, sender in enumerate(rates):
            # A few at a time, so that a slice ends where it may.
            scene.queue(A, sender, 3 * (number + 1), first=100_000 * number + 100 * step)
        scene.run(0.37)
    scene.run(3.0)
    assert len(scene.arrivals) == 200 * 3 * (1 + 2 + 3 + 4 + 5)


def test_an_old_revision_changes_nothing() -> None:
    scene = lane({("shop", "main"): 50.0}, {"shop": 9000.0})
    scene.queue(A, ("shop", "main"), 2000)
    scene.run(5.0)
    scene.add(sender_terms(("shop", "main"), 10.0, 1, at=scene.ms))
    since = scene.seconds
    scene.run(10.0)
    assert scene.rate(since, since + 10.0) >= 0.98 * 50


@pytest.mark.parametrize("rate", [50.0, 2000.0])
def test_a_removed_sender_submits_nothing_and_goes_on_when_it_is_added_again(rate: float) -> None:
    sender: SenderId = ("shop", "main")
    scene = lane({sender: rate, ("shop", "other"): 50.0}, {"shop": 9000.0})
    scene.queue(A, sender, int(20 * rate))
    scene.queue(A, ("shop", "other"), 2000, first=100_000)
    scene.run(5.0)
    removed = scene.seconds
    scene.add(sender_terms(sender, rate, 2, removed=True, at=scene.ms))
    scene.run(5.0)
    assert scene.got(sender="main", until=removed)
    # What was handed over in the very moment before arrives half an answer's time later.
    assert not scene.got(sender="main", since=removed + 0.003)
    assert scene.rate(removed, removed + 5.0, sender="other") >= 0.97 * 50
    scene.add(sender_terms(sender, rate, 3, at=scene.ms))
    added = scene.seconds
    scene.run(8.0)
    assert most_in_a_second(scene.got(sender="main", since=added)) <= rate
    assert scene.rate(added + 1.0, added + 7.0, sender="main") >= 0.95 * rate


@pytest.mark.parametrize("rate", [50.0, 2000.0])
def test_a_sender_that_gets_another_aggregator_uses_it_within_its_limit(rate: float) -> None:
    sender: SenderId = ("shop", "main")
    scene = lane({sender: rate}, {"shop": 9000.0})
    scene.queue(A, sender, int(20 * rate))
    scene.run(5.0)
    changed = scene.seconds
    scene.add(sender_terms(sender, rate, 2, aggregator="other", at=scene.ms))
    scene.run(8.0)
    assert not scene.got(aggregator="any", since=changed + 0.003)
    assert not scene.got(aggregator="other", until=changed)
    assert most_in_a_second(scene.got()) <= rate
    assert scene.rate(changed + 2.0, changed + 7.0) >= 0.98 * rate


def test_everybody_is_sent_to_once_however_often_terms_change() -> None:
    scene = lane({("shop", f"line{n}"): 40.0 for n in range(5)}, {"shop": 100.0})
    for number in range(5):
        scene.queue(A, ("shop", f"line{number}"), 200, first=1000 * number)
    for turn in range(40):
        name = ("shop", f"line{turn % 5}")
        aggregator = "any" if turn % 3 else "other"
        removed = turn % 7 == 0
        scene.add(sender_terms(name, 20.0 + turn * 50, 2 + turn, aggregator=aggregator, removed=removed, at=scene.ms))
        scene.add(account_terms("shop", 50.0 + 10 * (turn % 9), 2 + turn, at=scene.ms))
        scene.run(0.37)
    for number in range(5):
        scene.add(sender_terms(("shop", f"line{number}"), 40.0, 99, at=scene.ms))
    scene.run(30.0)
    assert len(scene.arrivals) == 1000
    state = scene.owners[0].driver.state
    assert (state.waiting, state.in_flight()) == (0, 0)
    assert scene.arrivals[0].ms > START_MS
    for sender in scene.owners[0].driver.channels.roster.all():
        assert (sender.flow.ahead, sender.account.flow.ahead) == (0, 0), "nothing is ahead anymore"
