"""The story in the log: each command and change of status once, with who did it."""

from __future__ import annotations

import logging

import pytest

from agents.story import log_change
from pipeline.campaign.statuses import apply
from pipeline.campaign.transitions import Transition
from schemas.campaign import CampaignDocument, Command, CommandsRecord, Suspension

SPEC = {
    "name": "Spring",
    "account": "demo",
    "audience": {"lists": ["x"]},
    "messages": [{"text": "Hi", "links": {}}],
}
WHO = "maria from 10.1.2.3"


def document(status: str) -> CampaignDocument:
    return CampaignDocument(id="zzzzzzz2", spec=SPEC, status=status, revision=3, created=1, updated=1, lanes=[0])  # type: ignore[arg-type]


def reported(before: CampaignDocument, record: CommandsRecord, caplog: pytest.LogCaptureFixture) -> Transition:
    caplog.clear()
    with caplog.at_level(logging.INFO, "agents.story"):
        transition = apply(before, record, 1_790_000_000_000, lambda _: "no such sender")
        log_change(before, record, transition)
    return transition


@pytest.mark.parametrize(
    ("action", "before", "said"),
    [
        ("pause", "processing", "processing → paused"),
        ("cancel", "scheduled", "scheduled → draft"),
        ("delete", "draft", "draft → deleted"),
    ],
)
def test_a_command_is_one_log_line_with_its_author_and_its_outcome(
    action: str, before: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    command = Command(id="c1", campaign="zzzzzzz2", action=action, at=5, by=WHO)  # type: ignore[arg-type]
    transition = reported(document(before), command, caplog)
    (record,) = caplog.records
    assert record.getMessage() == f"campaign zzzzzzz2: {action} by {WHO}: {said}"
    assert (record.campaign, record.by, record.action, record.account) == ("zzzzzzz2", WHO, action, "demo")  # type: ignore[attr-defined]
    if transition.document is not None:
        reported(transition.document, command, caplog)
        assert caplog.records == [], "a command that comes again is not told again"


def test_a_refused_command_says_why(caplog: pytest.LogCaptureFixture) -> None:
    reported(document("finished"), Command(id="c2", campaign="zzzzzzz2", action="cancel", at=5, by=WHO), caplog)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(
        f"campaign zzzzzzz2: cancel by {WHO} is refused: campaign zzzzzzz2 is finished"
    )


def test_a_suspension_says_which_lane_and_why(caplog: pytest.LogCaptureFixture) -> None:
    reason = "waiting_for_aggregator:local: no_answer"
    record = Suspension(campaign="zzzzzzz2", suspended=True, reason=reason, at=7, by="lane 3")
    before = document("sending")
    before.recipients = 5
    transition = reported(before, record, caplog)
    (line,) = caplog.records
    assert line.getMessage() == f"campaign zzzzzzz2: sending → suspended by lane 3: {reason}"
    assert (line.by, line.status) == ("lane 3", "suspended")  # type: ignore[attr-defined]
    assert transition.document is not None
    gone = Suspension(campaign="zzzzzzz2", suspended=False, reason="", at=8, by="lane 3")
    reported(transition.document, gone, caplog)
    (line,) = caplog.records
    assert line.getMessage() == "campaign zzzzzzz2: suspended → sending by lane 3"
