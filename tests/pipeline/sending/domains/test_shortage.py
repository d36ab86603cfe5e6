"""A campaign whose domains are used up is held, and goes on when there is room; others of its account do not wait."""

from __future__ import annotations

from collections import Counter

from schemas.campaign import CampaignDocument, Suspension
from schemas.lane import Drop, Intent
from schemas.reasons import Reason
from tests.pipeline.lane.records import DEMO, A, B, C, account_terms, control, domain_terms, sender_terms
from tests.pipeline.sending.host import Scene

GO, TO, BYE = "go.example", "to.example", "bye.example"


def scene(*domains: tuple[str, str, int | None]) -> Scene:
    """Campaign A has a short link, B both kinds, C none."""
    made = Scene()
    made.add(account_terms(), sender_terms(rate=50.0), domain_terms(*domains))
    for campaign, text in ((A, "hi {link}"), (B, "hi {link} {opt_out}"), (C, "hi")):
        made.add(control(campaign, text=text, transactional=True))
        made.documents[campaign] = CampaignDocument(
            id=campaign, spec={}, status="sending", revision=1, created=0, updated=0
        )
    made.own()
    return made


def carried(made: Scene) -> Counter[str]:
    """Messages that arrived, by domain."""
    return Counter(domain for arrival in made.got() for domain in arrival.domains)


def counted(made: Scene) -> dict[str, int]:
    return made.owners[-1].driver.state.domain_counts.of("demo")


def holds(made: Scene) -> list[tuple[str, bool, str]]:
    return [(item.campaign, item.suspended, item.reason) for item in made.announced if isinstance(item, Suspension)]


def test_a_used_up_pool_holds_who_needs_it_and_nobody_else() -> None:
    made = scene((GO, "short", 10), (BYE, "opt-out", 100))
    for campaign in (A, C):
        made.queue(campaign, DEMO, 30)
    made.run(6.0)
    assert (len(made.got(campaign=A)), len(made.got(campaign=C))) == (10, 30)
    assert carried(made) == counted(made) == {GO: 10}
    assert holds(made) == [(A, True, "domains_used_up:short links of demo")]
    assert made.documents[A].status == "suspended"
    assert made.owners[0].driver.shortage.suspended == 1
    assert made.owners[0].driver.backlog(made.ms).late == 0.0, "no machine makes it late"
    made.add(domain_terms((GO, "short", 10), (TO, "short", 100), revision=2))
    made.run(3.0)
    assert len(made.got(campaign=A)) == 30
    assert carried(made) == counted(made) == {GO: 10, TO: 20}
    assert holds(made)[1:] == [(A, False, "")]
    assert (made.documents[A].status, made.owners[0].driver.shortage.suspended) == ("sending", 0)


def test_a_message_needs_a_domain_of_each_kind_that_it_has_links_of() -> None:
    made = scene((GO, "short", None), (BYE, "opt-out", 7))
    made.queue(B, DEMO, 20)
    made.run(4.0)
    assert carried(made) == counted(made) == {GO: 7, BYE: 7}
    assert holds(made) == [(B, True, "domains_used_up:opt-out links of demo")]


def test_domains_take_turns_and_the_smallest_rest_is_used() -> None:
    made = scene((GO, "short", 33), (TO, "short", 33))
    made.queue(A, DEMO, 80)
    made.run(6.0)
    assert carried(made) == counted(made) == {GO: 33, TO: 33}
    first = [arrival.domains[0] for arrival in made.got()][:40]
    assert min(Counter(first).values()) >= 10, "evenly from the start on"


def test_kinds_that_need_no_domain_use_none() -> None:
    made = scene((GO, "short", 5))
    made.add(domain_terms((GO, "short", 5), required=["short"], revision=2))
    made.queue(B, DEMO, 4)
    made.run(2.0)
    assert carried(made) == {GO: 4}
    made.add(domain_terms(required=[], revision=3))
    made.queue(B, DEMO, 4, first=4)
    made.run(2.0)
    assert (len(made.got()), carried(made)) == (8, {GO: 4})


def test_a_deadline_holds_while_a_campaign_waits_for_a_domain() -> None:
    made = scene((GO, "short", 0))
    made.add(control(A, revision=2, text="hi {link}", transactional=True, deadline=made.ms + 3000))
    made.queue(A, DEMO, 5)
    made.queue(C, DEMO, 600)
    made.run(2.0)
    assert not made.got(campaign=A)
    made.run(10.0)
    drops = [record for record, _ in made.log if isinstance(record, Drop)]
    assert [(drop.state, drop.reason, drop.slices) for drop in drops] == [
        ("expired", Reason.DEADLINE, [(drops[0].slices[0][0], 0, 5)])
    ]
    assert not made.got(campaign=A)


def test_a_lower_limit_holds_from_its_place_in_the_log() -> None:
    """An INTENT that was on its way when the limit fell is void, and its recipients wait."""
    made = scene((GO, "short", 1000))
    made.queue(A, DEMO, 100)
    while not made.written:
        made.run(0.001)
    used = counted(made)[GO]
    made.owners[0].driver.on_time(made.now)
    made.add(domain_terms((GO, "short", used), revision=2))
    made.run(5.0)
    assert carried(made) == counted(made) == {GO: used}


def test_a_new_owner_goes_on_counting_and_lets_go_what_the_old_one_held() -> None:
    made = scene((GO, "short", 10))
    made.queue(A, DEMO, 30)
    made.run(4.0)
    assert made.documents[A].status == "suspended"
    made.owners[0].die()
    made.add(domain_terms((GO, "short", 25), revision=2))
    made.own("other")
    made.run(8.0)
    assert (carried(made), made.documents[A].status) == ({GO: 25}, "suspended")
    made.add(domain_terms((GO, "short", None), revision=3))
    made.run(8.0)
    assert (carried(made), counted(made), made.documents[A].status) == ({GO: 30}, {GO: 30}, "sending")


def test_an_operators_resume_is_overruled_while_there_is_no_room() -> None:
    made = scene((GO, "short", 0))
    made.queue(A, DEMO, 1)
    made.run(3.0)
    made.documents[A] = CampaignDocument(id=A, spec={}, status="sending", revision=9, created=0, updated=0)
    made.run(8.0)
    assert made.documents[A].status == "suspended"
    assert not made.got()


def test_an_account_without_domains_picks_as_before() -> None:
    made = Scene()
    made.add(account_terms(), sender_terms(rate=50.0), control(A, text="hi {link}", transactional=True))
    made.queue(A, DEMO, 20)
    made.own()
    made.run(2.0)
    intents = [record for record, _ in made.log if isinstance(record, Intent)]
    assert {tuple(pick.domains) for intent in intents for pick in intent.picks} == {()}
    assert (len(made.got()), made.reports, made.announced) == (20, [], [])


def test_what_was_used_is_reported_at_once_and_when_it_changes() -> None:
    made = scene((GO, "short", 40))
    made.run(1.0)
    assert [(use.revision, use.used, use.starved) for use in made.reports] == [(1, {}, [])]
    made.queue(A, DEMO, 60)
    made.run(4.0)
    assert made.reports[-1].used == {GO: 40}
    assert made.reports[-1].starved == ["short"]
    assert [use.as_of for use in made.reports] == sorted({use.as_of for use in made.reports})
    assert len(made.reports) <= 6
    made.add(domain_terms((GO, "short", 41), revision=2))
    made.run(2.0)
    assert (made.reports[-1].revision, made.reports[-1].used) == (2, {GO: 41})
    count = len(made.reports)
    made.run(30.0)
    assert len(made.reports) == count, "nothing new is not reported"
