"""A lane of many senders that changes its owner, whose campaign stops, or one of whose aggregators is down."""

from __future__ import annotations

from pipeline.lane.checkpoint import parts, snapshot
from schemas.lane import Intent, SenderId
from tests.pipeline.lane.records import account_terms, control, sender_terms
from tests.pipeline.sending.host import Scene, most_in_a_second

A, B = "aaaaaaaa", "bbbbbbbb"
SENDERS: dict[SenderId, float] = {("shop", f"line{n}"): 20.0 for n in range(6)} | {("fast", "main"): 2000.0}


def lane(elsewhere: str = "any") -> Scene:
    """The last sender of the shop uses the aggregator `elsewhere`."""
    scene = Scene()
    scene.add(account_terms("shop", 60.0), account_terms("fast", 3000.0), control(A, transactional=True))
    for number, (sender, rate) in enumerate(SENDERS.items()):
        scene.add(sender_terms(sender, rate, aggregator=elsewhere if number == 5 else "any"))
        scene.queue(A, sender, int(20 * rate), first=100_000 * number)
    return scene


def within_all_limits(scene: Scene) -> None:
    for (account, sender), rate in SENDERS.items():
        assert most_in_a_second(scene.got(account=account, sender=sender)) <= rate
    assert most_in_a_second(scene.got(account="shop")) <= 60


def test_a_new_owner_begins_with_full_windows_and_all_limits_hold_across_the_change() -> None:
    scene = lane()
    first = scene.own("first")
    scene.run(5.0)
    first.die()
    second = scene.own("second")
    taken = scene.seconds
    scene.run(15.0)
    assert second.driver.active
    within_all_limits(scene)
    # The log's read-back lets what the former owner had handed over arrive, and nothing else for a second.
    assert not scene.got(since=taken + 0.01, until=taken + 1.0)
    for (account, sender), rate in SENDERS.items():
        expected = 10.0 if account == "shop" else rate
        assert scene.rate(taken + 3.0, taken + 13.0, account=account, sender=sender) >= 0.95 * expected


def test_what_a_former_owner_proposes_late_is_void_and_nobody_gets_a_message_twice() -> None:
    scene = lane()
    first = scene.own("first")
    scene.run(2.0)
    first_epoch = first.driver.state.epoch
    second = scene.own("second")
    scene.run(0.5)
    assert (first.driver.active, second.driver.active) == (False, True)
    late = Intent(
        epoch=first_epoch, picks=[pick for _, item in scene.written[-1:] for pick in item.picks], at=scene.ms
    )
    before = second.driver.state.in_flight()
    scene.add(late)
    assert second.driver.state.in_flight() == before
    scene.run(40.0)
    within_all_limits(scene)
    total = sum(int(20 * rate) for rate in SENDERS.values())
    state = second.driver.state
    open_still = sum(flight.count for flight in state.flights.values())
    assert len(scene.arrivals) + open_still == total - state.waiting


def test_an_owner_that_begins_at_a_checkpoint_has_the_same_terms() -> None:
    scene = lane()
    first = scene.own("first")
    scene.run(2.0)
    scene.add(sender_terms(("shop", "line0"), 5.0, 2), account_terms("shop", 45.0, 2))
    scene.add(sender_terms(("shop", "line1"), 20.0, 2, removed=True))
    scene.run(2.0)
    saved = snapshot(first.driver.state, 0)
    begin = saved.as_of
    scene.add(*parts(saved, first.driver.state.epoch))
    first.die()
    scene.run(0.1)
    second = scene.own("second", begin)
    taken = scene.seconds
    scene.run(12.0)
    one, other = first.driver, second.driver
    assert other.active
    assert (other.state.accounts, other.state.senders) == (one.state.accounts, one.state.senders)
    known = {sender.id: sender.terms for sender in other.channels.roster.all()}
    assert known == {sender.id: sender.terms for sender in one.channels.roster.all()}
    assert other.rate == one.rate
    assert not scene.got(sender="line1", since=taken)
    assert most_in_a_second(scene.got(sender="line0", since=taken)) <= 5
    assert scene.rate(taken + 2.0, taken + 12.0, account="shop") >= 0.98 * 45


def test_of_an_intent_only_the_picks_of_a_paused_campaign_are_not_submitted() -> None:
    scene = Scene()
    scene.add(account_terms("shop", 900.0))
    for campaign in (A, B):
        scene.add(control(campaign, transactional=True))
    for number in range(6):
        sender = ("shop", f"line{number}")
        scene.add(sender_terms(sender, 10.0))
        scene.queue(A if number % 2 else B, sender, 10, first=100 * number)
    host = scene.own()
    scene.run(0.0035)  # it has read its OWNER and has written an INTENT
    assert host.driver.active
    scene.add(control(A, "paused", 2, transactional=True))
    scene.run(5.0)
    (_, first), *_ = scene.written
    assert {pick.campaign for pick in first.picks} == {A, B}
    assert not scene.got(campaign=A)
    assert len(scene.got(campaign=B)) == 30
    assert host.driver.state.waiting == 30
    scene.add(control(A, "running", 3, transactional=True))
    scene.run(5.0)
    assert len(scene.got(campaign=A)) == 30


def test_senders_of_an_account_that_use_different_aggregators_share_its_limit() -> None:
    scene = lane("other")
    scene.own()
    scene.run(3.0)
    since = scene.seconds
    scene.run(10.0)
    for number in range(6):
        assert scene.rate(since, since + 10.0, sender=f"line{number}") >= 0.95 * 10


def test_an_aggregator_that_is_down_holds_only_its_own_senders() -> None:
    seconds = 30.0
    scene = lane("other")
    host = scene.own()
    scene.run(3.0)
    breaker = scene.aggregators["other"].breaker.rule
    for _ in range(3):
        breaker.failed(scene.seconds, "http:503", 0.0)
    down = scene.seconds
    scene.run(0.1)
    scene.add(control(A, transactional=True, revision=2))
    scene.run(seconds - 0.1)
    assert not scene.got(aggregator="other", since=down + 0.01)
    served = scene.rate(down + 1.0, down + 15.0, account="shop")
    assert served >= 0.98 * 60, "the others of its account have its share"
    assert scene.rate(down, down + 15.0, account="fast") > 0
    state = host.driver.state
    assert state.away.keys() == {"other"}
    assert state.away["other"].total(scene.ms) > 0
    assert state.downtime.total(scene.ms) == 0
    breaker.record_health_check(scene.seconds, "", 0.0)
    breaker.succeeded()
    scene.run(0.1)
    host.read()
    scene.run(20.0)
    assert scene.got(aggregator="other", since=down + seconds)
