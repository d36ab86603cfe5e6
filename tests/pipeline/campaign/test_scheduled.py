"""A campaign for later waits as scheduled, and begins in time for the first clock on earth that reaches it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.campaign.statuses import apply
from pipeline.campaign.transitions import StartFreeze, Transition, Unfit
from pipeline.campaign.when import LEAD_MS
from schemas.campaign import CampaignDocument, Command, Frozen, Progress
from tests.pipeline.campaigns import HOUR, ID, NOW, TERMS, document

TOMORROW = NOW + 24 * HOUR
AT = datetime.fromtimestamp(TOMORROW / 1000, UTC).isoformat()


def step(before: CampaignDocument, record: Any, now: int = NOW) -> Transition:
    return apply(before, record, now, lambda _: TERMS)


def launched(send_at: str = AT, **changes: Any) -> CampaignDocument:
    draft = document("draft", launched=0, launch_revision=0, lanes=[], recipients=0, send_at=send_at, **changes)
    transition = step(draft, Command(id="l", campaign=ID, action="launch", at=NOW, by="me"))
    assert transition.error == ""
    assert transition.document is not None
    assert transition.effects == ()
    return transition.document


def test_it_waits_and_begins_before_it_is_due() -> None:
    waiting = launched()
    assert (waiting.status, waiting.begins, waiting.lanes) == ("scheduled", TOMORROW - LEAD_MS, [2, 4])
    early = step(waiting, Progress(campaign=ID, reached="due", at=waiting.begins - 1))
    assert (early.changed, early.effects) == (False, ())
    begun = step(waiting, Progress(campaign=ID, reached="due", at=waiting.begins))
    assert begun.document is not None
    assert begun.document.status == "processing"
    [freeze] = begun.effects
    assert isinstance(freeze, StartFreeze)
    assert freeze.freeze.revision == waiting.launch_revision
    again = step(begun.document, Progress(campaign=ID, reached="due", at=waiting.begins + 1000))
    assert (again.changed, again.effects) == (False, begun.effects)


@pytest.mark.parametrize("now", [NOW, TOMORROW + HOUR], ids=["at once", "read again after its time"])
def test_what_was_taken_back_and_deleted_stays_so_when_its_commands_are_read_again(now: int) -> None:
    given = document("draft", launched=0, launch_revision=0, lanes=[], recipients=0, send_at=AT).spec
    actual: CampaignDocument | None = None
    for place, action in enumerate(("create", "launch", "cancel", "delete")):
        spec = given if action == "create" else None
        asked = Command(id=action, campaign=ID, action=action, at=NOW + place, by="me", spec=spec)  # type: ignore[arg-type]
        transition = apply(actual, asked, now + place, lambda _: TERMS)
        assert (transition.error, transition.effects) == ("", ())
        actual = transition.document
    assert actual is None


def test_local_time_begins_before_the_first_clock_reaches_it() -> None:
    noon = datetime.fromtimestamp(TOMORROW / 1000, UTC).replace(tzinfo=None).isoformat()
    assert launched(noon, local_time=True).begins == TOMORROW - 14 * HOUR - LEAD_MS


def test_due_soon_begins_at_once() -> None:
    soon = datetime.fromtimestamp((NOW + LEAD_MS) / 1000, UTC).isoformat()
    draft = document("draft", launched=0, launch_revision=0, lanes=[], recipients=0, send_at=soon)
    transition = step(draft, Command(id="l", campaign=ID, action="launch", at=NOW, by="me"))
    assert transition.document is not None
    assert transition.document.status == "processing"


@pytest.mark.parametrize("status", ["draft", "sending", "canceled", "finished"])
def test_the_time_of_one_that_is_not_scheduled_changes_nothing(status: str) -> None:
    transition = step(document(status), Progress(campaign=ID, reached="due", at=TOMORROW))
    assert (transition.changed, transition.effects) == (False, ())


def test_canceled_it_is_a_draft_again_and_its_time_comes_in_vain() -> None:
    waiting = launched()
    draft = step(waiting, Command(id="c", campaign=ID, action="cancel", at=NOW, by="me")).document
    assert draft is not None
    assert (draft.status, draft.begins, draft.launch_revision) == ("draft", 0, 0)
    assert step(draft, Progress(campaign=ID, reached="due", at=waiting.begins)).document is draft


GONE = Unfit("account_inactive:demo")


@pytest.mark.parametrize("gone", [GONE, Unfit("no_domain:short links of demo")], ids=["inactive", "without a domain"])
def test_a_campaign_that_cannot_be_sent_when_it_is_launched_due_or_frozen_fails(gone: Unfit) -> None:
    draft = document("draft", launched=0, launch_revision=0, lanes=[], recipients=0)
    launch = Command(id="l", campaign=ID, action="launch", at=NOW, by="me")
    waiting = launched()
    due = Progress(campaign=ID, reached="due", at=waiting.begins)
    processing = document("processing", recipients=0)
    frozen = Frozen(campaign=ID, revision=2, recipients=10, at=NOW)
    for before, record in ((draft, launch), (waiting, due), (processing, frozen)):
        failed = apply(before, record, NOW, lambda _: gone)
        assert failed.document is not None
        assert (failed.document.status, failed.document.reason) == ("failed", gone.reason)
        assert (failed.error, failed.effects) == ("", ())
        again = apply(failed.document, record, NOW, lambda _: TERMS)
        assert again.document is not None
        assert (again.document.status, again.effects) == ("failed", ())


def test_a_launch_for_a_sender_that_is_not_there_is_refused() -> None:
    draft = document("draft", launched=0, launch_revision=0, lanes=[], recipients=0)
    launch = Command(id="l", campaign=ID, action="launch", at=NOW, by="me")
    refused = apply(draft, launch, NOW, lambda _: Unfit("sender_removed:demo/main", "no such sender"))
    assert refused.document is not None
    assert (refused.document.status, refused.error) == ("draft", "no such sender")


def test_a_campaign_that_is_sending_goes_on_whatever_becomes_of_its_account() -> None:
    sending = document("sending")
    again = apply(sending, Frozen(campaign=ID, revision=2, recipients=10, at=NOW), NOW, lambda _: GONE)
    assert again.document is not None
    assert again.document.status == "sending"
