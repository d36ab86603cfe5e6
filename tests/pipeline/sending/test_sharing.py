"""Who of those that share a lane goes first, and how much each gets: campaigns, accounts, urgent messages, brands."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.limits.carrier_day import next_day
from schemas.lane import SenderId
from tests.pipeline.lane.records import account_terms, control, sender_terms
from tests.pipeline.sending.host import START_MS, Scene, most_in_a_second

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"
MAIN: SenderId = ("shop", "main")
URGENT_MS = 200


@pytest.mark.parametrize("rate", [100.0, 2000.0])
def test_campaigns_of_one_sender_share_it_by_weight(rate: float) -> None:
    weights = {A: 1, B: 2, C: 5}
    scene = Scene()
    scene.add(account_terms("shop", 9000.0), sender_terms(MAIN, rate))
    for campaign, weight in weights.items():
        scene.add(control(campaign, weight=weight, transactional=True))
        scene.queue(campaign, MAIN, int(40 * rate * weight / 8))
    scene.own()
    scene.run(3.0)
    for _ in range(20):
        since = scene.seconds - 0.5
        scene.run(1.0)
        if since < 110.5:
            continue
        total = scene.rate(since - 10.0, since)
        for campaign, weight in weights.items():
            share = scene.rate(since - 10.0, since, campaign=campaign) / total
            assert share == pytest.approx(weight / 8, rel=0.05), campaign


def test_an_account_with_very_many_waiting_does_not_starve_one_with_a_hundred() -> None:
    scene = Scene()
    large: SenderId = ("large", "main")
    scene.add(account_terms("large", 9000.0), sender_terms(large, 500.0))
    scene.add(account_terms("small", 9000.0), sender_terms(("small", "main"), 50.0), control(A, transactional=True))
    scene.add(control(B, transactional=True))
    scene.queue(A, large, 200_000)
    scene.own()
    scene.run(3.0)
    since = scene.seconds
    scene.queue(B, ("small", "main"), 100)
    scene.run(3.0)
    assert len(scene.got(account="small")) == 100
    assert scene.got(account="small")[-1].ms <= START_MS + 1000 * (since + 2.0) + URGENT_MS
    assert scene.rate(since, since + 3.0, account="large") >= 0.98 * 500


def urgent_is_handed_over_in_time(scene: Scene, sender: SenderId, count: int = 10) -> None:
    """Urgent messages of a campaign C become due one by one; each arrives in time."""
    scene.add(control(C, priority="urgent", transactional=True))
    waited = []
    for number in range(count):
        scene.run(0.531)
        due = scene.ms
        scene.queue(C, sender, 1, first=number)
        scene.run(1.0)
        arrived = scene.got(campaign=C)
        assert len(arrived) == number + 1, "it has not come within a second"
        waited.append(arrived[-1].ms - due)
    print(f"urgent: {max(waited):.0f} ms at most, {sum(waited) / count:.0f} on average")
    assert max(waited) <= URGENT_MS


@pytest.mark.parametrize("rate", [20.0, 100.0, 5000.0])
def test_an_urgent_message_overtakes_all_that_wait_for_its_own_sender(rate: float) -> None:
    scene = Scene()
    scene.add(account_terms("shop", 9000.0), sender_terms(MAIN, rate), control(A, transactional=True))
    scene.queue(A, MAIN, 200_000 if rate > 1000 else 20_000)
    scene.own()
    scene.run(3.0)
    urgent_is_handed_over_in_time(scene, MAIN)
    assert most_in_a_second(scene.got()) <= rate


def test_an_urgent_message_is_not_held_up_by_hundreds_of_other_senders() -> None:
    scene = Scene()
    scene.add(account_terms("shop", 9000.0), sender_terms(MAIN, 10.0), control(A, transactional=True))
    for number in range(200):
        sender = (f"shop{number}", "main")
        scene.add(account_terms(sender[0], 9000.0), sender_terms(sender, 3.0))
        scene.queue(A, sender, 100, first=1000 * number, chunk=50)
    scene.own()
    scene.run(3.0)
    urgent_is_handed_over_in_time(scene, MAIN)


def test_an_urgent_message_goes_before_its_siblings_who_wait_for_the_accounts_limit() -> None:
    scene = Scene()
    scene.add(account_terms("shop", 30.0), sender_terms(MAIN, 10.0), control(A, transactional=True))
    for number in range(9):
        sender = ("shop", f"line{number}")
        scene.add(sender_terms(sender, 10.0))
        scene.queue(A, sender, 500, first=1000 * number)
    scene.own()
    scene.run(3.0)
    urgent_is_handed_over_in_time(scene, MAIN)
    assert most_in_a_second(scene.got(account="shop")) <= 30


def brands(limit: int, zone: str = "America/Los_Angeles") -> Scene:
    """Two senders of brand "shoes" with a limit for T-Mobile, another brand's, and another account's."""
    scene = Scene()
    scene.add(
        account_terms("shop", 9000.0, carrier_daily={"shoes": {"T-Mobile": limit}}, zone=zone),
        account_terms("other", 9000.0),
        sender_terms(MAIN, 50.0, brand="shoes"),
        sender_terms(("shop", "second"), 50.0, brand="shoes"),
        sender_terms(("shop", "hats"), 50.0, brand="hats"),
        sender_terms(("other", "main"), 50.0, brand="shoes"),
        control(A, transactional=True),
    )
    senders = (MAIN, ("shop", "second"), ("shop", "hats"), ("other", "main"))
    for number, sender in enumerate(senders):
        scene.queue(A, sender, 200, first=1000 * number, carrier="T-Mobile")
        scene.queue(A, sender, 50, first=1000 * number + 500, carrier="Verizon")
    return scene


def of_brand(scene: Scene, carrier: str = "T-Mobile", since: float = 0.0) -> int:
    senders = ("main", "second")
    return sum(len(scene.got(since=since, account="shop", sender=name, carrier=carrier)) for name in senders)


def test_two_senders_share_their_brands_day_with_a_carrier_exactly_and_nobody_else_does() -> None:
    scene = brands(130)
    scene.own()
    scene.run(20.0)
    assert of_brand(scene) == 130
    assert of_brand(scene, "Verizon") == 100
    assert len(scene.got(sender="hats")) == 250
    assert len(scene.got(account="other")) == 250
    assert scene.owners[0].driver.state.waiting == 270


def test_a_carriers_day_ends_at_midnight_of_the_accounts_zone() -> None:
    zone = "Asia/Tokyo"
    scene = brands(130, zone)
    midnight = next_day(START_MS, zone)
    assert datetime.fromtimestamp(midnight / 1000, ZoneInfo(zone)).hour == 0
    scene.own()
    scene.run(20.0)
    assert of_brand(scene) == 130
    scene.run(midnight / 1000 - START_MS / 1000 - scene.seconds - 0.01)
    assert of_brand(scene) == 130
    scene.run(20.0)
    assert of_brand(scene) == 260
    assert min(item.ms for item in scene.got(since=1000.0)) >= midnight


def test_a_carrier_limit_that_is_changed_at_noon_holds_at_once() -> None:
    scene = brands(190)
    scene.own()
    scene.run(1.1)
    before = of_brand(scene)
    assert 60 < before < 170
    terms = {"shoes": {"T-Mobile": before + 20}}
    scene.add(account_terms("shop", 9000.0, revision=2, carrier_daily=terms))
    scene.run(20.0)
    # What had its INTENT in the log when the limit changed still goes.
    assert before <= of_brand(scene) <= before + 20
    scene.add(account_terms("shop", 9000.0, revision=3, carrier_daily={"shoes": {"T-Mobile": 10}}))
    scene.run(20.0)
    assert of_brand(scene) <= before + 20
