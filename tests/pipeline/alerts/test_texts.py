"""The words of alerts: one or many, for mail, phone and program."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.texts import LONGEST_SMS, MOST_LISTED, mail_of, sms_of, subject_of, webhook_of
from pipeline.content.segments import count
from schemas.alerts import MOST_TEXT
from tests.pipeline.alerts.test_deliveries import START, alert
from tests.pipeline.campaign.test_suspension import alerts as alerts_of
from tests.pipeline.campaign.test_suspension import document, step, suspension


@pytest.mark.parametrize("number", [1, 2, MOST_LISTED, MOST_LISTED + 1, 100])
def test_a_mail_has_the_newest_and_says_how_many_more_there_are(number: int) -> None:
    alerts = [alert(item, at=START + item) for item in range(number)]
    text = mail_of(alerts)
    assert sum(f"No. {item}\n" in text for item in range(number)) == min(number, MOST_LISTED)
    assert f"No. {number - 1}\n" in text
    assert (f"There are {number - MOST_LISTED} more." in text) == (number > MOST_LISTED)
    assert ("come together" in text) == (number > 1)
    assert subject_of(alerts) == ("shop: a campaign is suspended" if number == 1 else f"shop: {number} alerts")


def test_the_text_message_of_a_suspension_takes_two_segments_of_the_plain_alphabet() -> None:
    [said] = alerts_of(step(document("sending"), suspension("waiting_for_aggregator:local: connect")))
    text = sms_of([said], "Harbor & Pine")
    assert text.startswith('Harbor & Pine: Campaign "Sale" (0000000a) is suspended: ')
    assert count(text).parts == 2


@given(st.text(min_size=1, max_size=MOST_TEXT), st.text(max_size=100), st.integers(1, 30))
def test_whatever_it_says_a_text_message_is_one_short_line(said: str, site: str, number: int) -> None:
    alerts = [alert(item) for item in range(number)]
    alerts[-1].text = said
    text = sms_of(alerts, site)
    assert 0 < len(text) <= max(LONGEST_SMS, len(site))
    assert "\n" not in text.removeprefix(site)


def test_a_program_gets_every_alert_and_the_same_octets_each_time() -> None:
    alerts = [alert(item, at=START + item) for item in range(30)]
    body = webhook_of(alerts)
    assert body == webhook_of(alerts)
    document = orjson.loads(body)
    assert document["type"] == "account.alerts"
    assert [item["id"] for item in document["data"]["alerts"]] == [item.id for item in alerts]
    assert document["timestamp"] == document["data"]["alerts"][-1]["at"]
