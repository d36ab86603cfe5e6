"""The state machine of accounts and senders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.changes import apply
from pipeline.accounts.holding import Holding, WaitingCampaign
from pipeline.accounts.placing import home_lane
from pipeline.accounts.transitions import Hold, Transition, WriteTerms, answered
from schemas.accounts import ACCOUNTS, AccountCommand, Answers
from schemas.campaign import Suspension
from schemas.lane import LANES as LANE_RECORDS
from schemas.lane import AccountTerms, SenderTerms
from schemas.reasons import Reason, in_words, split
from schemas.wire import encode
from tests.pipeline.accounts.making import AT, LANES, WORLD, change, command, held, kept, removal, world

HOME = home_lane("demo", LANES)
SHOP = held(command(change(site_name="Shop"), change("main", segments_per_second=10)))
WAITING = WaitingCampaign("c0000001", "main", (HOME,))


def revisions(holding: Holding) -> dict[str, int]:
    assert holding.account is not None
    return {"": holding.account.revision} | {name: sender.revision for name, sender in holding.senders.items()}


def terms(transition: Transition) -> list[tuple[int, AccountTerms | SenderTerms]]:
    return [(effect.lane, effect.record) for effect in transition.effects if isinstance(effect, WriteTerms)]


def holds(transition: Transition) -> list[Suspension]:
    return [effect.record for effect in transition.effects if isinstance(effect, Hold)]


def removed(transition: Transition) -> dict[tuple[int, str], bool]:
    return {(lane, record.sender): record.removed for lane, record in terms(transition) if hasattr(record, "sender")}


def test_an_account_is_made_with_its_senders_and_the_lanes_hear_of_both() -> None:
    transition = apply(Holding(), command(change(), change("main", segments_per_second=10)), WORLD)
    assert transition.verdict == "done"
    assert [key for key, _ in transition.writes] == ["demo/main", "demo"]
    lanes = terms(transition)
    assert [(lane, type(record)) for lane, record in lanes] == [(HOME, AccountTerms), (HOME, SenderTerms)]
    assert all(record.revision == AT for _, record in lanes)


def test_every_record_is_read_back_as_it_was_written() -> None:
    transition = apply(Holding(), command(change(), change("main")), WORLD)
    for _, record in transition.writes:
        assert ACCOUNTS.decode(encode(record)) == record
    for _, term in terms(transition):
        assert LANE_RECORDS.decode(encode(term)) == term


def test_who_did_not_see_the_newest_state_is_refused() -> None:
    seen = revisions(SHOP)[""]
    first = apply(SHOP, command(change(site_name="A", expected=seen), id="a", at=AT + 1), WORLD)
    after = kept(SHOP, first)
    second = apply(after, command(change(site_name="B", expected=seen), id="b", at=AT + 2), WORLD)
    assert (first.verdict, second.verdict) == ("done", "stale")
    assert not second.writes
    assert not second.effects


def test_a_change_of_a_sender_leaves_the_revision_of_the_account_alone() -> None:
    seen = revisions(SHOP)
    after = kept(SHOP, apply(SHOP, command(change("main", expected=seen["main"], brand=None,
                                                  segments_per_second=5), id="x", at=AT + 1), WORLD))  # fmt: skip
    assert revisions(after)[""] == seen[""]
    assert revisions(after)["main"] > seen["main"]


def test_revisions_grow_though_a_clock_goes_back() -> None:
    seen = revisions(SHOP)["main"]
    after = kept(SHOP, apply(SHOP, command(removal("main", seen), id="x", at=AT - 5000), WORLD))
    again = kept(after, apply(after, command(change("main", revisions(after)["main"]), id="y", at=AT - 9000), WORLD))
    assert revisions(again)["main"] > revisions(after)["main"] > seen


def test_the_same_spec_again_changes_nothing() -> None:
    seen = revisions(SHOP)
    again = command(
        change(site_name="Shop", expected=seen[""]), change("main", seen["main"], segments_per_second=10), id="again"
    )
    transition = apply(SHOP, again, WORLD)
    assert (transition.verdict, transition.writes, transition.effects) == ("unchanged", (), ())


def test_a_repeated_command_changes_nothing_and_tells_the_lanes_again() -> None:
    seen = revisions(SHOP)["main"]
    once = command(removal("main", seen), id="once", at=AT + 1)
    first = apply(SHOP, once, WORLD)
    again = apply(kept(SHOP, first), once, WORLD)
    assert (again.verdict, again.writes) == ("done", ())
    assert removed(again) == removed(first) == {(HOME, "main"): True}


def test_a_sender_needs_an_account() -> None:
    assert apply(Holding(), command(change("main")), WORLD).verdict == "absent"
    gone = kept(SHOP, apply(SHOP, command(removal("", revisions(SHOP)[""]), id="x", at=AT + 1), WORLD))
    assert apply(gone, command(change("other"), id="y"), WORLD).verdict == "absent"


def test_what_is_not_there_cannot_be_removed() -> None:
    assert apply(SHOP, command(removal("other"), id="x"), WORLD).verdict == "absent"
    assert apply(Holding(), command(removal()), WORLD).verdict == "absent"


def test_all_changes_of_a_command_hold_or_none() -> None:
    transition = apply(SHOP, command(change("second"), change("main", expected=1), id="x"), WORLD)
    assert (transition.verdict, transition.writes) == ("stale", ())


def test_what_is_wrong_is_named() -> None:
    seen = revisions(SHOP)["main"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"aggregator": "nobody"}, "nobody"),
        ({"lanes": [LANES]}, f"lane {LANES}"),
        ({"brand": "none"}, "brand"),
        ({"segments_per_second": 0}, "longwave senders remove"),
        ({"number": "+1"}, "number"),
    ]
    for spec, named in wrong:
        transition = apply(SHOP, command(change("main", seen, **spec), id="x"), WORLD)
        assert transition.verdict == "wrong"
        assert named in transition.error
    at = revisions(SHOP)[""]
    for spec, named in [
        ({"price_list": "other"}, "price list"),
        ({"quiet_hours": {"US": {"mon": "1"}}}, "quiet_hours"),
    ]:
        quiet = {"quiet_reading": "cautious", **spec}
        assert named in apply(SHOP, command(change("", at, **quiet), id="x"), WORLD).error


def test_no_quiet_hours_only_where_nobody_is_behind_the_aggregator() -> None:
    seen = revisions(SHOP)
    silent = kept(SHOP, apply(SHOP, command(change("", seen[""], quiet_reading="none"), id="x", at=AT + 1), WORLD))
    real = command(change("main", seen["main"], aggregator="far"), id="y", at=AT + 2)
    assert apply(SHOP, real, WORLD).verdict == "done"
    assert "quiet_reading" in apply(silent, real, WORLD).error


def test_e_mail_addresses_are_refused_where_nobody_sends_mail_unless_they_are_there_already() -> None:
    mute = replace(WORLD, mails=False)
    mails = {"emails": ["ann@shop.example"]}
    refused = apply(Holding(), command(change(alerts=mails)), mute)
    assert refused.verdict == "wrong"
    assert "[smtp]" in refused.error
    known = held(command(change(alerts=mails)))
    seen = revisions(known)[""]
    other = apply(known, command(change(expected=seen, alerts=mails, site_name="Shop"), id="c2"), mute)
    assert other.verdict == "done"
    more = {"emails": ["ann@shop.example", "bob@shop.example"]}
    assert apply(known, command(change(expected=seen, alerts=more), id="c3"), mute).verdict == "wrong"
    assert apply(known, command(change("main"), id="c4"), mute).verdict == "done"


def test_what_campaigns_wait_on_is_not_taken_away() -> None:
    seen = revisions(SHOP)
    for taken in [
        removal("main", seen["main"]),
        removal("", seen[""]),
        change("", seen[""], active=False),
        change("main", seen["main"], lanes=[(HOME + 1) % LANES]),
    ]:
        refused = apply(SHOP, command(taken, id="x"), world(WAITING))
        assert refused.verdict == "in_use"
        assert "c0000001" in refused.error
        assert apply(SHOP, command(taken, id="x"), world()).verdict == "done"


def test_a_removed_sender_holds_its_campaigns_until_it_is_back() -> None:
    seen = revisions(SHOP)["main"]
    other = WaitingCampaign("c0000002", "second", (HOME,))
    taken = apply(SHOP, command(removal("main", seen), id="x", at=AT + 1, suspend=True), world(WAITING, other))
    (hold,) = holds(taken)
    assert (hold.campaign, hold.suspended, hold.by) == ("c0000001", True, "sender demo/main")
    assert split(hold.reason)[0] == Reason.SENDER_REMOVED
    assert "demo/main" in in_words(hold.reason)
    assert removed(taken) == {(HOME, "main"): True}
    gone = kept(SHOP, taken)
    held_one = WaitingCampaign("c0000001", "main", (HOME,), (hold.by,))
    back = apply(gone, command(change("main", revisions(gone)["main"]), id="y", at=AT + 2), world(held_one, other))
    (release,) = holds(back)
    assert (release.campaign, release.suspended, release.by) == ("c0000001", False, "sender demo/main")
    assert release.at > hold.at
    assert removed(back) == {(HOME, "main"): False}


def test_a_repeated_removal_holds_its_campaigns_again_and_a_repeated_return_lets_them_go_again() -> None:
    """Whoever died after the document was written may have sent no terms."""
    taken = command(removal("main", revisions(SHOP)["main"]), id="x", at=AT + 1, suspend=True)
    first = apply(SHOP, taken, world(WAITING))
    gone = kept(SHOP, first, "x")
    again = apply(gone, taken, world(WAITING))
    assert holds(again) == holds(first)
    held_one = WaitingCampaign("c0000001", "main", (HOME,), ("sender demo/main",))
    back = command(change("main", revisions(gone)["main"]), id="y", at=AT + 2)
    returned = apply(gone, back, world(held_one))
    there = kept(gone, returned, "y")
    assert holds(apply(there, back, world(held_one))) == holds(returned)


def test_an_inactive_account_is_out_of_its_lanes_until_it_is_active_again() -> None:
    seen = revisions(SHOP)[""]
    off = apply(SHOP, command(change("", seen, active=False), id="x", at=AT + 1, suspend=True), world(WAITING))
    (hold,) = holds(off)
    assert (hold.suspended, hold.by) == (True, "account demo")
    assert removed(off) == {(HOME, "main"): True}
    silent = kept(SHOP, off)
    held_one = WaitingCampaign("c0000001", "main", (HOME,), (hold.by,))
    on = apply(silent, command(change("", revisions(silent)[""]), id="y", at=AT + 2), world(held_one))
    assert [(release.suspended, release.by) for release in holds(on)] == [(False, "account demo")]
    assert removed(on) == {(HOME, "main"): False}


def test_an_account_that_is_back_without_the_sender_still_holds_its_campaigns() -> None:
    off = kept(SHOP, apply(SHOP, command(removal("", revisions(SHOP)[""]), id="x", at=AT + 1), world()))
    held_one = WaitingCampaign("c0000001", "main", (HOME,), ("account demo",))
    back = apply(off, command(change("", revisions(off)[""]), id="y", at=AT + 2), world(held_one))
    assert [(hold.suspended, hold.by) for hold in holds(back)] == [
        (True, "sender demo/main"),
        (False, "account demo"),
    ]


def test_a_sender_that_moves_is_out_of_the_lane_that_it_leaves() -> None:
    seen = revisions(SHOP)["main"]
    there = (HOME + 1) % LANES
    moved = apply(SHOP, command(change("main", seen, lanes=[there]), id="x", at=AT + 1), WORLD)
    assert removed(moved) == {(HOME, "main"): True, (there, "main"): False}


def test_answers_are_kept_once_each_and_the_oldest_go() -> None:
    known: Answers | None = None
    for index in range(80):
        known = answered(known, "demo", f"c{index}", Transition("done")) or known
    assert known is not None
    assert len(known.answers) == 64
    assert answered(known, "demo", "c79", Transition("stale")) is None
    assert answered(known, "demo", "c0", Transition("stale")) is not None


NAMES = st.sampled_from(["", "a", "b"])
STEPS = st.lists(
    st.tuples(NAMES, st.booleans(), st.integers(1, 3), st.integers(0, 30), st.booleans()), min_size=1, max_size=12
)


def run(steps: list[tuple[str, bool, int, int, bool]], *, twice: bool) -> tuple[Holding, dict[tuple[int, str], int]]:
    """What is stored after commands, and the newest revision that each lane heard of each sender; if `twice`
    each command comes again, also after those that follow it."""
    holding, heard, made = Holding(), dict[tuple[int, str], int](), list[AccountCommand]()
    for index, (name, remove, rate, moment, sees) in enumerate(steps):
        stored = holding.senders.get(name) if name else holding.account
        expected = stored.revision if stored is not None and sees else 0
        spec = {"active": rate != 1} if not name else {"segments_per_second": rate, "lanes": [rate]}
        item = removal(name, expected) if remove else change(name, expected, **spec)
        made.append(command(item, id=f"c{index}", at=AT + moment))
        for again in [made[-1], *(made[-3:] if twice else ())]:
            transition = apply(holding, again, WORLD)
            before, holding = holding, kept(holding, transition, again.id)
            assert before == holding or again is made[-1]
            for lane, record in terms(transition):
                if isinstance(record, SenderTerms):
                    heard[lane, record.sender] = max(heard.get((lane, record.sender), 0), record.revision)
    return holding, heard


@given(STEPS)
def test_commands_that_come_again_leave_the_same(steps: list[tuple[str, bool, int, int, bool]]) -> None:
    assert run(steps, twice=False) == run(steps, twice=True)


@given(STEPS)
def test_lanes_end_with_what_is_stored(steps: list[tuple[str, bool, int, int, bool]]) -> None:
    """A lane that takes only newer revisions knows in the end which senders it carries."""
    holding, lanes = Holding(), dict[tuple[int, str], SenderTerms]()
    for index, (name, remove, rate, moment, _) in enumerate(steps):
        stored = holding.senders.get(name) if name else holding.account
        expected = 0 if stored is None else stored.revision
        spec = {"active": rate != 1} if not name else {"segments_per_second": rate, "lanes": [rate]}
        item = removal(name, expected) if remove else change(name, expected, **spec)
        transition = apply(holding, command(item, id=f"c{index}", at=AT + moment), WORLD)
        holding = kept(holding, transition)
        for lane, record in terms(transition):
            known = lanes.get((lane, record.sender)) if isinstance(record, SenderTerms) else None
            if isinstance(record, SenderTerms) and (known is None or record.revision > known.revision):
                lanes[lane, record.sender] = record
    account = holding.account
    active = account is not None and not account.removed and account.spec["active"]
    carried = {key for key, record in lanes.items() if not record.removed}
    assert carried == {
        (lane, name) for name, sender in holding.senders.items() if active and not sender.removed
        for lane in sender.lanes
    }  # fmt: skip
