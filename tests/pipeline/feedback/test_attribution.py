"""A text belongs to the last message from its sender within seven days, a link to its own campaign."""

from __future__ import annotations

from pipeline.feedback.attribution import EARLY_MS, WINDOW_MS, Found, Sent, Waiting, message_of, statuses

NOW = 1_790_000_000_000
OLD, NEW = Sent("00000001", 0, 7, NOW - 60_000), Sent("00000002", 1, 9, NOW - 1000)


def text(at: int = NOW) -> Waiting:
    return Waiting(33_612_345_678, "a1", "+18885550100", "", at, "replied")


def link(campaign: str) -> Waiting:
    return Waiting(33_612_345_678, "link/0/5", "", campaign, NOW, "opted_out")


def test_a_text_belongs_to_the_last_message_before_it() -> None:
    assert message_of(text(), [OLD, NEW]) == NEW
    assert message_of(text(NEW.at - EARLY_MS - 1), [OLD, NEW]) == OLD
    assert message_of(text(NEW.at - 100), [OLD, NEW]) == NEW, "a machine answers before the outcome is written down"
    assert message_of(text(), []) is None


def test_after_seven_days_it_is_attributed_to_no_message() -> None:
    assert message_of(text(NEW.at + WINDOW_MS - EARLY_MS), [OLD, NEW]) == NEW
    assert message_of(text(NEW.at + WINDOW_MS + 1), [OLD, NEW]) is None


def test_a_link_belongs_to_its_own_campaign_however_old() -> None:
    assert message_of(link("00000001"), [OLD, NEW]) == OLD
    assert message_of(link("00000003"), [OLD, NEW]) is None
    later = Sent("00000001", 1, 7, NOW + WINDOW_MS)
    assert message_of(link("00000001"), [OLD, later]) == OLD


def test_events_are_sets_by_campaign_and_message() -> None:
    actual = [
        Found(text(), NEW), Found(text(), NEW), Found(link("00000001"), OLD), Found(text(), None),
        Found(text(NOW + 5), OLD),
    ]  # fmt: skip
    made = {(status.campaign, status.message): status for status in statuses(actual)}
    assert {
        key: [(group.state, group.ordinals) for group in item.groups] for key, item in made.items()
    } == {
        ("00000002", 1): [("replied", [9])],
        ("00000001", 0): [("opted_out", [7]), ("replied", [7])],
    }  # fmt: skip
    assert made["00000001", 0].at == NOW + 5
