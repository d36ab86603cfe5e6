"""Text messages of alerts: from which sender, and under a name that a replay gives again and nothing else has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accounts.prices import built_in
from pipeline.alerts.sms import MOST_NUMBERS, SmsTerms, alert_campaign, sender_for, sms
from pipeline.feedback.replies import Place, control_of, reply_campaign, work_of
from schemas.accounts import SenderDocument
from schemas.feedback import SentReply
from schemas.ids import known_country
from tests.pipeline.alerts.test_deliveries import START, alert


def sender(name: str, number: str, country: str) -> SenderDocument:
    kind = "alphanumeric" if number.isalpha() else "toll-free"
    return SenderDocument(
        revision=1, created=1, updated=1, by="ann", command="c1", account="shop", sender=name, number=number,
        sender_kind=kind, country=country and known_country(country), aggregator="local", segments_per_second=10,
    )  # fmt: skip


US, FR, NAME = sender("us", "+18885550100", "US"), sender("fr", "+33801020304", "FR"), sender("a", "HARBOR", "")
TERMS = SmsTerms(sender=US, site_name="Shop", lanes=(3, 5), prices=built_in())
PLACES = st.tuples(st.integers(0, 7), st.integers(0, 10**9), st.integers(0, MOST_NUMBERS - 1))


def made(partition: int, offset: int, index: int) -> SentReply:
    return sms("+12125550123", [alert(1)], TERMS, Place(partition, 8, offset), index, START)


@pytest.mark.parametrize(
    ("number", "senders", "wanted"),
    [
        ("+12125550123", [NAME, FR, US], US),
        ("+33612345678", [NAME, FR, US], FR),
        ("+447400123456", [NAME, US, FR], FR),
        ("+12125550123", [NAME], NAME),
        ("+12125550123", [], None),
    ],
)
def test_the_sender_of_the_country_then_a_number_then_a_name(
    number: str, senders: list[SenderDocument], wanted: SenderDocument | None
) -> None:
    assert sender_for(number, senders) == wanted


@given(st.lists(PLACES, unique=True, max_size=40))
def test_no_two_texts_have_one_name_and_the_same_place_has_the_same_again(places: list[tuple[int, int, int]]) -> None:
    texts = [made(*place) for place in places]
    assert texts == [made(*place) for place in places]
    assert len({(text.campaign, text.message, text.ordinal) for text in texts}) == len(places)


def test_it_is_no_reply_and_goes_ahead_of_marketing_but_not_to_who_is_opted_out() -> None:
    text = made(0, 7, 0)
    assert (text.kind, text.campaign) == ("alert", alert_campaign("shop", "us"))
    assert alert_campaign("shop", "us") != reply_campaign("shop", "us")
    settings = control_of(text).settings
    assert settings is not None
    assert (settings.priority, settings.transactional) == ("urgent", True)
    assert not settings.messages[text.message].to_opted_out
    assert work_of(text, 12125550123).sender == "us"
    assert text.lane in TERMS.lanes
    assert text.price > 0


def test_too_many_of_one_record_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        made(0, 0, MOST_NUMBERS)
