"""The account's people hear that a campaign became suspended: once each time, whatever comes again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.campaign.transitions import RaiseAlert, Transition
from schemas.alerts import MOST_TEXT, Alert
from schemas.campaign import CampaignDocument
from schemas.reasons import Reason
from tests.pipeline.campaign.test_statuses import LATER, RECORDS, after, command, step, suspension
from tests.pipeline.campaigns import ID, document


def alerts(transition: Transition) -> list[Alert]:
    return [effect.alert for effect in transition.effects if isinstance(effect, RaiseAlert)]


def test_it_says_which_campaign_why_and_what_to_do() -> None:
    held = step(document("sending"), suspension(f"{Reason.ACCOUNT_INACTIVE}:shop"))
    [said] = alerts(held)
    assert (said.about, said.account, said.subject, said.at) == ("campaign_suspended", "demo", ID, LATER)
    assert '"Sale"' in said.text
    assert "the account shop is inactive" in said.text
    assert f"longwave campaign resume {ID}" in said.text


def test_a_long_name_and_many_reasons_still_make_one_alert() -> None:
    item = document("paused", resume_to="sending")
    for lane in range(100):
        item = after(step(item, suspension("x" * 50 + str(lane), f"lane {lane}")))
    [said] = alerts(step(item, command("resume")))
    assert len(said.text) == MOST_TEXT


def test_it_is_said_once_while_it_stays_suspended_and_again_when_it_had_gone_on() -> None:
    first = step(document("sending"), suspension("down", "lane 1"))
    more = step(after(first), suspension("down", "lane 2", LATER + 1))
    less = step(after(more), suspension("", "lane 1", LATER + 2))
    other = step(after(less), suspension("another reason", "lane 2", LATER + 3))
    assert [len(alerts(item)) for item in (first, more, less, other)] == [1, 0, 0, 0]
    going = step(after(other), suspension("", "lane 2", LATER + 4))
    anew = step(after(going), suspension("down", "lane 1", LATER + 5))
    assert (alerts(going), len(alerts(anew))) == ([], 1)
    assert alerts(anew)[0].id != alerts(first)[0].id


def test_a_pause_in_between_is_the_same_suspension() -> None:
    held = step(document("sending"), suspension("down"))
    paused = step(after(held), command("pause"))
    assert alerts(step(after(paused), command("resume", "c2"))) == []


def test_what_came_while_it_was_paused_is_said_when_it_is_resumed() -> None:
    paused = step(document("paused", resume_to="sending"), suspension("down"))
    assert alerts(paused) == []
    resumed = step(after(paused), command("resume"))
    [said] = alerts(resumed)
    assert [item.id for item in alerts(step(after(resumed), command("resume")))] == [said.id], "and read again"


def test_an_operator_who_overrules_it_ends_it() -> None:
    held = step(document("sending"), suspension("down"))
    going = step(after(held), command("resume"))
    assert len(alerts(step(after(going), suspension("down", at=LATER + 9)))) == 1


def test_the_record_that_led_to_it_says_it_again_and_no_other_does() -> None:
    first, second = suspension("down", "lane 1"), suspension("down", "lane 2", LATER + 1)
    held = step(document("sending"), first)
    both = step(after(held), second)
    assert alerts(step(after(both), first))[0].id == alerts(held)[0].id
    assert alerts(step(after(both), second)) == []


MOVES = st.one_of(
    st.tuples(st.sampled_from(["down", ""]), st.sampled_from(["lane 1", "lane 2"])),
    st.sampled_from(["pause", "resume"]),
    st.integers(-4, -1),
)


@settings(max_examples=300)
@given(st.lists(MOVES, max_size=30))
def test_in_any_order_with_any_repetition_each_suspension_has_one_alert(moves: list[object]) -> None:
    current: CampaignDocument = document("sending")
    past: list[RECORDS] = []
    said: set[str] = set()
    told, suspensions = False, 0
    for number, move in enumerate(moves):
        if isinstance(move, int):
            if not past:
                continue
            record = past[max(len(past) + move, 0)]
        elif isinstance(move, tuple):
            record = suspension(move[0], move[1], LATER + number)
        else:
            record = command(move, f"c{number}")  # type: ignore[arg-type]
        past.append(record)
        transition = step(current, record)
        before, current = current, after(transition)
        if not any(hold.reason for hold in current.holds):
            told = False
        if current.status == "suspended" != before.status and not told:
            told, suspensions = True, suspensions + 1
        said |= {item.id for item in alerts(transition)}
        assert len(said) == suspensions
