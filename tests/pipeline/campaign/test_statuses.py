"""The status machine: every action in every status, the whole way, and any order of anything."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.campaign.retrying import retry_of
from pipeline.campaign.statuses import apply
from pipeline.campaign.suspension import reason_in_words
from pipeline.campaign.transitions import (
    EmitStatuses,
    ReleaseReservations,
    StartFanout,
    StartFreeze,
    TendRetryList,
    Transition,
    Withdraw,
    WriteControl,
)
from schemas.campaign import (
    CAMPAIGNS,
    Action,
    CampaignDocument,
    Command,
    CommandsRecord,
    Frozen,
    Note,
    Progress,
    Resolution,
    Resolved,
    Retry,
    RetryListed,
    Status,
    Suspension,
    Verdict,
)
from schemas.chunk import DropRetryList, Freeze, MakeRetryList
from schemas.ids import retry_list
from schemas.reasons import Reason
from schemas.selection import Selection
from schemas.status import StatusRange
from schemas.wire import encode
from tests.pipeline.campaigns import HOUR, ID, NOW, TERMS, document, spec

LATER = NOW + HOUR
RECORDS = CommandsRecord


def command(action: Action, identity: str = "c1", **changes: Any) -> Command:
    fields = {"id": identity, "campaign": ID, "action": action, "at": NOW, "by": "ann", **changes}
    return Command(**fields)


def frozen(recipients: int = 1000, revision: int = 2) -> Frozen:
    return Frozen(campaign=ID, revision=revision, recipients=recipients, at=LATER)


def progress(reached: str) -> Progress:
    return Progress(campaign=ID, reached=reached, at=LATER)  # type: ignore[arg-type]


def resolution(verdict: Verdict = "not-sent", first: int = 0, count: int = 3) -> Resolution:
    """`count` recipients, every third of two segments."""
    ordinals = list(range(first, first + count))
    return Resolution(
        verdict=verdict,
        message=0,
        ordinals=ordinals,
        numbers=[12125550000 + ordinal for ordinal in ordinals],
        segments=[2 if ordinal % 3 == 2 else 1 for ordinal in ordinals],
        prices=[7900] * count,
    )


def suspension(reason: str, by: str = "lane 4", at: int = LATER) -> Suspension:
    return Suspension(campaign=ID, suspended=bool(reason), reason=reason, at=at, by=by)


def step(before: CampaignDocument | None, record: RECORDS) -> Transition:
    return apply(before, record, LATER, lambda _: TERMS)


def after(transition: Transition) -> CampaignDocument:
    assert transition.document is not None
    return transition.document


STATUSES = get_args(Status)
ALLOWED = {
    ("draft", "edit"): "draft",
    ("draft", "delete"): None,
    ("scheduled", "delete"): None,
    ("draft", "launch"): "processing",
    ("processing", "pause"): "paused",
    ("sending", "pause"): "paused",
    ("paused", "resume"): "sending",
    ("suspended", "resume"): "sending",
    ("suspended", "pause"): "paused",
    ("scheduled", "cancel"): "draft",
    ("processing", "cancel"): "canceled",
    ("sending", "cancel"): "canceled",
    ("paused", "cancel"): "canceled",
    ("suspended", "cancel"): "canceled",
    ("sent", "resolve"): "sent",
    ("finished", "resolve"): "finished",
    ("canceled", "resolve"): "canceled",
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", ["create", "edit", "delete", "launch", "pause", "resume", "cancel", "resolve"])
def test_every_action_in_every_status(status: str, action: Action) -> None:
    before = document(status, resume_to="sending" if status in ("paused", "suspended") else None)
    given = {"resolutions": [resolution()]} if action == "resolve" else {"spec": spec("Hello")}
    transition = step(before, command(action, **given))
    if (status, action) not in ALLOWED:
        refused = after(transition)
        assert transition.error
        assert (refused.status, transition.effects) == (status, ())
        assert refused.outcomes[-1].error == transition.error
        assert refused.revision == before.revision + 1
        return
    assert transition.error == ""
    if action == "delete":
        assert (transition.document, transition.delete) == (None, True)
        return
    assert (after(transition).status, after(transition).revision) == (ALLOWED[status, action], before.revision + 1)
    assert after(transition).outcomes[-1] == msgspec.structs.replace(after(transition).outcomes[-1], error="")
    assert CAMPAIGNS.decode(encode(after(transition))) == after(transition)


@pytest.mark.parametrize(
    ("status", "action", "text"),
    [
        ("sent", "cancel", "it can only be duplicated"),
        ("canceled", "resume", "is canceled, not paused"),
        ("canceled", "edit", "it can only be duplicated"),
        ("canceled", "cancel", "it can only be duplicated"),
        ("canceled", "launch", "only a draft can be launched: it can only be duplicated"),
        ("canceled", "pause", "only processing and sending campaigns can be paused"),
        ("finished", "cancel", "all messages were submitted; it can only be duplicated"),
        ("sending", "edit", "only a draft can be edited: cancel it and duplicate it"),
        ("suspended", "edit", "only a draft can be edited: cancel it and duplicate it"),
        ("draft", "cancel", "there is nothing to cancel; delete it"),
        ("sending", "launch", "only a draft can be launched"),
        ("sent", "pause", "only processing and sending campaigns can be paused"),
    ],
)
def test_refusals_say_what_to_do(status: str, action: Action, text: str) -> None:
    assert text in step(document(status), command(action)).error


def test_the_whole_way() -> None:
    created = after(step(None, command("create", "c1", spec=spec())))
    assert (created.status, created.revision, created.created, created.updated) == ("draft", 1, NOW, LATER)
    launch = step(created, command("launch", "c2"))
    launched = after(launch)
    assert (launched.launch_revision, launched.launched, launched.lanes) == (2, NOW, [2, 4])
    assert launch.effects == (StartFreeze(Freeze(campaign=ID, revision=2)),)
    begin = step(launched, frozen())
    assert after(begin).recipients == 1000
    assert begin.effects == (
        WriteControl(ID, 3, "running", (2, 4), LATER),
        StartFanout(ID, 2, 1, 1000),
    )
    sent = after(step(after(begin), progress("sent")))
    assert (sent.status, sent.finished) == ("sent", 0)
    finished = after(step(sent, progress("finished")))
    assert (finished.status, finished.finished, finished.revision) == ("finished", LATER, 5)
    assert [(o.command, o.error) for o in finished.outcomes] == [("c1", ""), ("c2", "")]


def test_a_launch_keeps_the_wording_of_the_account_and_a_draft_has_none() -> None:
    launched = step(document("draft", recipients=0), command("launch")).document
    assert launched is not None
    assert launched.wording == TERMS.wording
    again = step(launched, frozen(0, launched.launch_revision)).document
    assert again is not None
    assert (again.status, again.wording) == ("draft", None)


def test_an_empty_audience_makes_it_a_draft_again_that_can_be_launched_again() -> None:
    back = after(step(document("processing", recipients=0), frozen(0)))
    assert (back.status, back.launched, back.launch_revision, back.lanes) == ("draft", 0, 0, [])
    assert back.reason == Reason.EMPTY_AUDIENCE
    again = after(step(back, command("launch", "c9")))
    assert (again.status, again.launch_revision, again.reason) == ("processing", back.revision + 1, "")
    assert step(again, frozen(7, revision=2)) == Transition(again)


def test_frozen_while_paused_fans_out_but_stays_paused() -> None:
    paused = after(step(document("processing", recipients=0), command("pause")))
    assert paused.resume_to == "processing"
    transition = step(paused, frozen())
    held = after(transition)
    assert (held.status, held.resume_to, held.recipients) == ("paused", "sending", 1000)
    assert transition.effects == (
        WriteControl(ID, held.revision, "paused", (4, 2), LATER),
        StartFanout(ID, 2, 1, 1000),
    )
    resume = step(held, command("resume", "c2"))
    assert after(resume).status == "sending"
    assert resume.effects == (WriteControl(ID, held.revision + 1, "running", (4, 2), LATER),)


def test_resume_before_the_freeze_goes_back_to_processing() -> None:
    paused = after(step(document("processing", recipients=0), command("pause")))
    assert after(step(paused, command("resume", "c2"))).status == "processing"


def test_cancel_stops_the_lanes_first_then_withdraws_pending_recipients() -> None:
    transition = step(document("sending"), command("cancel"))
    assert transition.effects == (
        WriteControl(ID, 6, "canceled", (4, 2), LATER),
        Withdraw((StatusRange(campaign=ID, message=0, at=LATER, first=0, last=1000, reason="campaign_canceled"),)),
    )


def test_cancel_before_the_freeze_withdraws_when_the_audience_is_known() -> None:
    cancel = step(document("processing", recipients=0), command("cancel"))
    assert [type(effect) for effect in cancel.effects] == [WriteControl]
    late = step(after(cancel), frozen(10))
    assert (after(late).status, after(late).recipients) == ("canceled", 10)
    assert [type(effect) for effect in late.effects] == [Withdraw]
    assert step(after(cancel), frozen(0)) == Transition(after(cancel))


def test_a_campaign_is_suspended_until_each_that_held_it_lets_go() -> None:
    held = step(document("sending"), suspension("main does not answer", "lane 4"))
    assert (after(held).status, after(held).resume_to) == ("suspended", "sending")
    assert after(held).reason == "main does not answer"
    assert reason_in_words(after(held)) == "main does not answer (lane 4)"
    assert len(held.effects) == 1, "the account's people are told (test_suspension)"
    both = after(step(after(held), suspension("main does not answer", "lane 2")))
    assert reason_in_words(both) == "main does not answer (lane 2); main does not answer (lane 4)"
    item = after(step(both, suspension("", "lane 4", LATER + 1)))
    assert (item.status, reason_in_words(item)) == ("suspended", "main does not answer (lane 2)")
    none = after(step(item, suspension("", "lane 2", LATER + 1)))
    assert (none.status, none.resume_to, none.reason) == ("sending", None, "")


def test_an_old_suspension_read_again_suspends_nothing() -> None:
    first, second = suspension("down"), suspension("", at=LATER + 1)
    going = after(step(after(step(document("sending"), first)), second))
    again = step(going, first)
    assert (again.document, again.changed) == (going, False)
    assert step(going, second) == Transition(going)


def test_an_operator_resumes_what_the_system_holds_until_it_holds_it_again() -> None:
    held = after(step(document("sending"), suspension("down")))
    resume = step(held, command("resume"))
    assert (after(resume).status, after(resume).reason) == ("sending", "")
    assert resume.effects == (WriteControl(ID, after(resume).revision, "running", (4, 2), LATER),)
    again = step(after(resume), suspension("down"))
    assert (again.document, again.changed) == (after(resume), False)
    assert after(step(after(resume), suspension("down again", at=LATER + 9))).status == "suspended"


def test_a_pause_of_a_suspended_campaign_is_kept_and_its_resume_shows_the_remaining_holds() -> None:
    held = after(step(document("sending"), suspension("down")))
    paused = step(held, command("pause"))
    assert (after(paused).status, after(paused).resume_to, after(paused).reason) == ("paused", "sending", "")
    assert paused.effects == (WriteControl(ID, after(paused).revision, "paused", (4, 2), LATER),)
    resumed = step(after(paused), command("resume", "c2"))
    assert (after(resumed).status, reason_in_words(after(resumed))) == ("suspended", "down (lane 4)")
    assert resumed.effects == (WriteControl(ID, after(resumed).revision, "running", (4, 2), LATER),)
    freed = after(step(after(paused), suspension("", at=LATER + 1)))
    assert (freed.status, after(step(freed, command("resume", "c2"))).status) == ("paused", "sending")


@pytest.mark.parametrize("status", ["draft", "processing", "sent", "finished", "canceled", "failed"])
def test_what_does_not_send_is_not_suspended(status: str) -> None:
    assert step(document(status), suspension("down")) == Transition(document(status))


def test_a_suspended_campaign_keeps_its_reason_and_can_be_sent_and_canceled() -> None:
    held = after(step(document("sending"), suspension("down")))
    assert step(held, Note(campaign=ID, reason="", at=NOW)) == Transition(held)
    sent = after(step(held, progress("sent")))
    assert (sent.status, sent.resume_to, sent.reason, sent.holds) == ("sent", None, "", [])
    canceled = step(held, command("cancel"))
    assert (after(canceled).status, after(canceled).holds) == ("canceled", [])
    assert [type(effect) for effect in canceled.effects] == [WriteControl, Withdraw]


def reported(transition: Transition) -> list[tuple[str, str, int, int, list[int]]]:
    return [
        (group.state, group.reason, group.segments, group.price, group.ordinals)
        for effect in transition.effects
        if isinstance(effect, EmitStatuses)
        for chunk in effect.chunks
        for group in chunk.groups
    ]


def released(transition: Transition) -> list[int]:
    back = [effect for effect in transition.effects if isinstance(effect, ReleaseReservations)]
    return [number for effect in back for release in effect.releases for number in release.numbers]


def test_unknown_messages_resolved_as_sent_are_recorded_as_accepted_so_that_they_are_billed() -> None:
    transition = step(document("finished"), command("resolve", resolutions=[resolution("sent")]))
    assert reported(transition) == [("accepted", "operator", 1, 7900, [0, 1]), ("accepted", "operator", 2, 7900, [2])]
    assert released(transition) == []
    assert isinstance(transition.effects[0], WriteControl), "no lane lets them wait again from here on"
    assert transition.effects[0].revision == after(transition).revision
    assert after(transition).resolved == [
        Resolved(command="c1", by="ann", at=NOW, verdict="sent", recipients=3),
    ]
    assert CAMPAIGNS.decode(encode(after(transition))) == after(transition)


def test_unknown_ones_that_were_not_sent_are_rejected_and_give_their_reservations_back() -> None:
    asked = command("resolve", resolutions=[resolution(count=12_000)])
    transition = step(document("canceled"), asked)
    kinds = {(state, reason) for state, reason, *_ in reported(transition)}
    assert kinds == {("rejected", "operator_not_sent")}
    assert sorted(ordinal for *_, ordinals in reported(transition) for ordinal in ordinals) == list(range(12_000))
    assert released(transition) == [12125550000 + ordinal for ordinal in range(12_000)]
    assert step(after(transition), asked).effects == transition.effects
    assert step(after(transition), asked).changed is False


@pytest.mark.parametrize("status", ["processing", "sending", "paused", "suspended"])
def test_what_may_still_change_is_not_resolved(status: str) -> None:
    refused = step(document(status, resume_to="sending"), command("resolve", resolutions=[resolution()]))
    assert "the outcome of its unknown messages may still arrive; wait until it is sent" in refused.error
    assert refused.effects == ()


def test_an_empty_set_cannot_be_resolved() -> None:
    assert "no recipients were given" in step(document("sent"), command("resolve")).error


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"text": "Go {link}"}, "messages.0.text: {link} has no address"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "deadline: it is not after the time of sending"),
        (
            {"deadline": "2027-06-01T00:00:00Z", "send_at": "2027-06-02T00:00:00Z"},
            "deadline: it is not after the time of sending",
        ),
    ],
)
def test_what_cannot_be_sent_is_not_launched(changes: dict[str, str], text: str) -> None:
    transition = step(document("draft", launch_revision=0, recipients=0, lanes=[], **changes), command("launch"))
    assert text in transition.error
    assert (after(transition).status, after(transition).launch_revision) == ("draft", 0)


def test_a_sender_that_is_not_configured_is_not_launched() -> None:
    transition = apply(document("draft"), command("launch"), LATER, lambda spec: f"sender: no {spec.sender}")
    assert transition.error == "sender: no main"


def test_a_spec_that_does_not_parse_is_refused_with_its_place() -> None:
    assert "name: Field required" in step(None, command("create", spec={"messages": []})).error
    assert step(None, command("create")).error.startswith("spec: missing")
    assert "audience" in step(document("draft"), command("edit", spec={"name": "x", "audience": 7})).error


@pytest.mark.parametrize("unreadable", [{}, {"name": "x", "send_at": "9999-12-31T23:59:59"}, {"audience": 7}])
def test_a_stored_spec_that_cannot_be_read_is_replaced_or_deleted_and_not_launched(
    unreadable: dict[str, Any],
) -> None:
    stored = msgspec.structs.replace(document("draft"), spec=unreadable)
    assert step(stored, command("delete")).delete
    assert after(step(stored, command("edit", spec=spec("Hi")))).spec["messages"]
    refused = step(stored, command("launch"))
    assert refused.error
    assert after(refused).status == "draft"


def test_a_draft_may_be_incomplete_and_is_launched_only_when_it_is_not() -> None:
    draft = after(step(None, command("create", spec={"name": "Sale"})))
    assert (draft.status, draft.spec["messages"], draft.spec["audience"]) == (
        "draft",
        [],
        {"lists": [], "numbers": []},
    )
    refused = step(draft, command("launch", "l1"))
    assert "audience: has no recipients: set lists" in refused.error
    assert "messages: there is none: write one" in refused.error
    assert (after(refused).status, refused.effects) == ("draft", ())
    whole = after(step(after(refused), command("edit", "e1", spec=spec("Hi"))))
    assert after(step(whole, command("launch", "l2"))).status == "processing"


def test_an_edit_of_what_somebody_else_changed_meanwhile_is_refused() -> None:
    before = document("draft")
    seen = before.revision
    tried = after(step(before, command("launch", "l1")))  # refused or not, the definition stays
    draft = msgspec.structs.replace(before, revision=tried.revision)
    first = after(step(draft, command("edit", "e1", spec=spec("One"), expected=seen)))
    assert (first.edited, first.spec["messages"][0]["text"]) == (first.revision, "One")
    second = step(first, command("edit", "e2", spec=spec("Two"), expected=seen))
    assert "changed by somebody else" in second.error
    refused = after(second)
    assert (refused.spec["messages"][0]["text"], refused.outcomes[-1].is_stale) == ("One", True)
    # Who saw what is there now may go on, also after that refusal.
    third = after(step(refused, command("edit", "e3", spec=spec("Three"), expected=first.revision)))
    assert third.spec["messages"][0]["text"] == "Three"
    assert step(third, command("edit", "e4", spec=spec("Four"), expected=third.revision + 1)).error
    assert step(third, command("edit", "e5", spec=spec("Five"), expected=0)).error


def test_key_and_account_of_a_campaign_with_a_key_are_for_life() -> None:
    keyed = after(step(None, command("create", spec={"name": "Sale", "key": "spring", "account": "shop"})))
    for other in ({"key": "autumn", "account": "shop"}, {"key": "spring", "account": "demo"}, {"account": "shop"}):
        refused = step(keyed, command("edit", "e1", spec={"name": "Sale", **other}))
        assert "for good" in refused.error
    edited = step(keyed, command("edit", "e2", spec={"name": "New", "key": "spring", "account": "shop"}))
    assert after(edited).spec["name"] == "New"
    plain = after(step(None, command("create", spec={"name": "Sale"})))
    assert "created without one" in step(plain, command("edit", "e3", spec={"name": "Sale", "key": "spring"})).error
    assert step(plain, command("edit", "e4", spec={"name": "Sale", "account": "shop"})).error == ""


def test_a_create_that_comes_again_is_answered_however_late_and_another_is_refused() -> None:
    current = made = after(step(None, command("create", "c1", spec=spec("Hi"))))
    for number in range(10):
        current = after(step(current, command("pause", f"p{number}")))
    again = step(current, command("create", "c1", spec=spec("Hi")))
    assert (again.document, again.changed, again.error) == (current, False, "")
    assert made.create_command == "c1"
    assert "exists already" in step(current, command("create", "c2", spec=spec("Ho"))).error


def test_nobody_there() -> None:
    assert "no campaign 0000000a" in step(None, command("pause")).error
    for record in (frozen(), Note(campaign=ID, reason="x", at=NOW), progress("sent")):
        assert step(None, record) == Transition(None)


def test_notes_show_why_it_waits_and_go_again() -> None:
    noted = after(step(document("processing"), Note(campaign=ID, reason="ClickHouse is down", at=NOW)))
    assert noted.reason == "ClickHouse is down"
    assert step(noted, Note(campaign=ID, reason="ClickHouse is down", at=NOW)).changed is False
    assert after(step(noted, Note(campaign=ID, reason="", at=NOW))).reason == ""
    assert step(document("canceled"), Note(campaign=ID, reason="x", at=NOW)).changed is False


def test_progress_of_a_canceled_campaign_only_dates_its_end() -> None:
    dated = after(step(document("canceled"), progress("finished")))
    assert (dated.status, dated.finished) == ("canceled", LATER)
    assert step(dated, progress("finished")).changed is False
    assert step(document("canceled"), progress("sent")).changed is False
    assert step(document("finished"), progress("sent")).changed is False
    assert step(document("processing", recipients=0), progress("sent")).changed is False


def test_only_the_last_eight_outcomes_are_kept() -> None:
    current = document("draft")
    for number in range(12):
        current = after(step(current, command("pause", f"c{number}")))
    assert [outcome.command for outcome in current.outcomes] == [f"c{number}" for number in range(4, 12)]


@pytest.mark.parametrize(
    ("before", "record"),
    [
        (document("draft", launch_revision=0, recipients=0, lanes=[]), command("launch")),
        (document("sending"), command("pause")),
        (document("processing", recipients=0), command("pause")),
        (document("paused", resume_to="sending"), command("resume")),
        (document("sending"), command("cancel")),
        (document("processing", recipients=0), frozen()),
        (document("paused", resume_to="processing", recipients=0), frozen()),
        (document("canceled", recipients=0), frozen()),
    ],
)
def test_a_record_that_comes_again_changes_nothing_and_gives_its_effects_again(
    before: CampaignDocument, record: RECORDS
) -> None:
    first = step(before, record)
    assert first.effects
    again = step(first.document, record)
    assert (again.changed, again.document) == (False, first.document)
    assert [e for e in again.effects if not isinstance(e, WriteControl)] == [
        e for e in first.effects if not isinstance(e, WriteControl)
    ]
    assert all(effect in again.effects for effect in first.effects)


def test_a_pause_repeated_after_a_resume_does_not_pause() -> None:
    paused = after(step(document("sending"), command("pause", "c1")))
    resumed = after(step(paused, command("resume", "c2")))
    assert step(resumed, command("pause", "c1")).effects == (
        WriteControl(ID, resumed.revision, "running", (4, 2), LATER),
    )


ACTIONS = st.sampled_from(["create", "edit", "launch", "pause", "resume", "cancel"])
MOVES = st.one_of(
    ACTIONS,
    st.sampled_from(
        ["frozen", "frozen-empty", "frozen-old", "sent", "finished", "note", "hold", "hold-2", "free", "free-2"]
    ),
    st.integers(1, 20).map(lambda back: -back),
)


def record_of(move: str, number: int, current: CampaignDocument | None) -> RECORDS:
    launch_revision = max(current.launch_revision, 1) if current else 1
    match move:
        case "frozen":
            return frozen(1000, launch_revision)
        case "frozen-empty":
            return frozen(0, launch_revision)
        case "frozen-old":
            return frozen(500, 10_000)
        case "sent" | "finished":
            return progress(move)
        case "note":
            return Note(campaign=ID, reason=f"waits {number}", at=NOW)
        case "hold" | "hold-2" | "free" | "free-2":
            return suspension("down" if "hold" in move else "", f"lane {move[-1]}", NOW + number)
    return command(move, f"c{number}", spec=spec(f"Text {number}"))  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.lists(MOVES, max_size=40))
def test_any_order_with_any_repetition(moves: list[str | int]) -> None:
    current: CampaignDocument | None = None
    past: list[RECORDS] = []
    controls: dict[int, str] = {}
    ended = False
    for number, move in enumerate(moves):
        if isinstance(move, int):
            record = past[max(len(past) + move, 0)] if past else command("create", "c0", spec=spec())
        else:
            record = record_of(move, number, current)
        past.append(record)
        before = current
        transition = step(current, record)
        current = transition.document
        if current is None:
            assert before is None
            continue
        assert CAMPAIGNS.decode(encode(current)) == current
        assert current.revision == (before.revision if before else 0) + transition.changed
        assert transition.changed or current == before
        for effect in transition.effects:
            if isinstance(effect, WriteControl):
                # A lane keeps the newest: what it has must be what the document says.
                assert controls.setdefault(effect.revision, effect.state) == effect.state
            if isinstance(effect, StartFanout | Withdraw):
                assert current.recipients > 0
            if isinstance(effect, StartFanout):
                assert current.status in ("sending", "paused", "suspended")
        if current.recipients and current.status != "draft" and controls:
            wanted = {"paused": "paused", "canceled": "canceled"}.get(current.status, "running")
            if current.status in ("sending", "paused", "suspended", "canceled"):
                assert controls[max(controls)] == wanted
        assert (current.resume_to is not None) == (current.status in ("paused", "suspended"))
        assert current.status != "suspended" or any(hold.reason for hold in current.holds)
        assert current.status != "sending" or not any(hold.reason for hold in current.holds)
        assert not (ended and current.status not in ("canceled", "finished"))
        ended = current.status in ("canceled", "finished")


# A retry


RETRY = Retry(of="0000aaaa", first="00000000", states=["rejected"], reasons=["code"], left_out=[])
LISTED = RetryListed(campaign=ID, recipients=7, at=LATER)


def retry_draft() -> Transition:
    listing = spec(audience={"lists": [retry_list(RETRY.of, ID)]})
    return step(None, command("create", spec=listing, retry=RETRY))


def test_the_list_of_a_retry_is_made_once_its_draft_is_there_and_again_until_it_is() -> None:
    task = MakeRetryList(campaign=ID, of=RETRY.of, states=["rejected"], reasons=["code"], left_out=[])
    made = retry_draft()
    assert made.document is not None
    assert (made.document.retry, made.effects) == (RETRY, (TendRetryList(task),))
    again = step(made.document, command("create", spec=made.document.spec, retry=RETRY))
    assert (again.changed, again.effects) == (False, (TendRetryList(task),))
    listed = step(made.document, LISTED)
    assert listed.document is not None
    assert listed.document.retry == msgspec.structs.replace(RETRY, recipients=7)
    assert not step(listed.document, msgspec.structs.replace(LISTED, recipients=9)).changed
    assert not step(listed.document, command("create", spec=made.document.spec, retry=RETRY)).effects


def test_a_retry_is_not_launched_before_its_list_is_made() -> None:
    made = retry_draft().document
    early = step(made, command("launch", "c2"))
    assert "is not made yet" in early.error
    listed = step(made, LISTED).document
    launched = step(listed, command("launch", "c2"))
    assert (launched.error, launched.document and launched.document.status) == ("", "processing")


def test_a_retry_that_goes_to_somebody_else_does_not_wait_for_its_list() -> None:
    made = retry_draft().document
    edited = step(made, command("edit", "c2", spec=spec())).document
    assert edited is not None
    assert edited.retry == RETRY
    assert step(edited, command("launch", "c3")).error == ""


def test_the_list_goes_with_the_draft() -> None:
    deleted = step(retry_draft().document, command("delete", "c2"))
    assert (deleted.delete, deleted.effects) == (True, (TendRetryList(DropRetryList(campaign=ID, of=RETRY.of)),))
    assert step(document("draft"), command("delete", "c2")).effects == ()


def test_a_chain_of_retries_keeps_its_beginning() -> None:
    first = document("finished")
    retry = retry_of(first, Selection(states=("rejected",)))
    assert (retry.of, retry.first) == (ID, ID)
    second = retry_of(document("finished", retry=RETRY), Selection())
    assert (second.of, second.first) == (ID, RETRY.first)


def test_a_list_that_is_made_for_a_campaign_that_is_gone_or_no_retry_changes_nothing() -> None:
    assert step(None, LISTED) == Transition(None)
    assert not step(document("draft"), LISTED).changed
