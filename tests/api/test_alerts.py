"""Routes of an account's alerts: what is shown to whom, a test, and the secret of webhooks."""

from __future__ import annotations

import asyncio
import tomllib
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from adapters.alerts.settings import Smtp
from adapters.kafka.alerts import AlertsView
from adapters.settings import Settings
from api.routes import alerts as alert_routes
from loadtest.sample import accounts as sample
from pipeline.identity.api_keys import KEY_OCTETS, KeyText, made
from schemas import topics
from schemas.alerts import ALERTS, Alert, AlertDocument, Channel, Delivery, DeliveryState, alert_id, document_key
from schemas.keys import ApiKey
from schemas.wire import encode
from tests.account_step import StepInMemory
from tests.api.app import FIRST, Fake, ask, key_like, served
from tests.api.test_keys import bearer

PATH = "/v1/accounts/demo/alerts"
PEOPLE = {"emails": ["ann@shop.example"], "webhooks": ["https://shop.example/t0ken"], "numbers": ["+12125550123"]}


def delivery(channel: Channel, to: str, state: DeliveryState, problem: str = "") -> Delivery:
    return Delivery(channel=channel, to=to, state=state, attempts=1, due=9_000, ended=8_000, problem=problem)


DELIVERIES = [
    delivery("email", "ann@shop.example", "sent"),
    delivery("webhook", "https://shop.example/t0ken", "waiting", "it answers 500"),
    delivery("sms", "+12125550123", "failed", "the recipient opted out"),
]


def stored(view: AlertsView, item: Alert, deliveries: list[Delivery]) -> None:
    document = AlertDocument(alert=item, place=1, deliveries=deliveries)
    view.apply(document_key(item.account, item.id).encode(), encode(document))


@dataclass
class Alerting(Fake):
    """A worker delivers what is written to topic `alerts`, if `works`."""

    view: AlertsView | None = None
    works: bool = True
    deliveries: list[Delivery] = field(default_factory=list)
    told: list[Alert] = field(default_factory=list)

    async def emit(self, topic: str, value: bytes, *, key: bytes) -> None:
        if topic != topics.ALERTS.name:
            await super().emit(topic, value, key=key)
            return
        item = ALERTS.decode(value)
        assert isinstance(item, Alert)
        assert key == item.account.encode()
        self.told.append(item)
        if self.works:
            assert self.view is not None
            stored(self.view, item, self.deliveries)


def app_of(fake: Alerting, *keys: Any) -> FastAPI:
    app = served(fake, [FIRST, *keys])
    fake.view = app.state.services.alerts
    return app


@pytest.fixture
def fake() -> Alerting:
    fake = Alerting(deliveries=[delivery("email", "ann@shop.example", "sent")])
    fake.accounts = StepInMemory(Settings(smtp=Smtp(host="127.0.0.1")), fake.all)
    fake.accounts.apply(tomllib.loads(sample.text()))
    fake.accounts.apply({"accounts": {"demo": {"alerts": PEOPLE}}}, at=2)
    return fake


def key(octet: int, **fields: Any) -> tuple[KeyText, ApiKey]:
    text = made(bytes([octet]) * KEY_OCTETS)
    return text, key_like(text, **fields)


async def test_the_last_alerts_are_shown_newest_first_with_what_became_of_each(fake: Alerting) -> None:
    app = app_of(fake)
    assert fake.view is not None
    for number in range(3):
        item = Alert(
            id=alert_id("campaign_suspended", "demo", number), account="demo", about="campaign_suspended",
            subject=f"c{number}", at=1_000 * number, text=f"No. {number}",
        )  # fmt: skip
        stored(fake.view, item, DELIVERIES)
        stored(fake.view, Alert(id=item.id, account="demo2", about="test", at=1, text="of another"), [])
    status, answer = await ask(app, "GET", PATH)
    assert (status, [alert["text"] for alert in answer["alerts"]]) == (200, ["No. 2", "No. 1", "No. 0"])
    assert [one["to"] for one in answer["alerts"][0]["deliveries"]] == [item.to for item in DELIVERIES]
    assert [(one["state"], one["next"] is not None) for one in answer["alerts"][0]["deliveries"]] == [
        ("sent", False), ("waiting", True), ("failed", False),
    ]  # fmt: skip
    assert len((await ask(app, "GET", f"{PATH}?size=1"))[1]["alerts"]) == 1
    assert (await ask(app, "GET", f"{PATH}?size=201"))[0] == 422
    assert (await ask(app, "GET", "/v1/accounts/nobody/alerts"))[0] == 404


async def test_destinations_are_masked_for_whoever_may_not_see_numbers(fake: Alerting) -> None:
    text, blind = key(1, scopes=["read"])
    app = app_of(fake, blind)
    assert fake.view is not None
    stored(fake.view, Alert(id=alert_id("test", "demo"), account="demo", about="test", at=1, text="x"), DELIVERIES)
    _, answer = await ask(app, "GET", PATH, **bearer(text))
    shown = [one["to"] for one in answer["alerts"][0]["deliveries"]]
    assert shown == ["a•••@shop.example", "https://shop.example/•••", "+121••••••23"]


async def test_a_test_says_what_became_of_it(fake: Alerting) -> None:
    app = app_of(fake)
    status, answer = await ask(app, "POST", f"{PATH}/test")
    assert (status, answer["carried_out"], answer["about"]) == (200, True, "test")
    assert [one["state"] for one in answer["deliveries"]] == ["sent"]
    await ask(app, "POST", f"{PATH}/test")
    assert len({item.id for item in fake.told}) == 2, "each is another alert"


async def test_a_test_that_no_worker_takes_says_so(fake: Alerting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_routes, "TEST_SECONDS", 0.3)
    fake.works = False
    app = app_of(fake)
    assert (await ask(app, "POST", f"{PATH}/test"))[1]["carried_out"] is False
    fake.works, fake.deliveries = True, DELIVERIES
    _, answer = await ask(app, "POST", f"{PATH}/test")
    assert (answer["carried_out"], answer["deliveries"][1]["state"]) == (True, "waiting"), "as far as it is known"


async def test_an_account_that_names_nobody_has_no_test(fake: Alerting) -> None:
    fake.accounts.apply({"accounts": {"demo": {"alerts": {}}}}, at=3)
    status, answer = await ask(app_of(fake), "POST", f"{PATH}/test")
    assert (status, "longwave accounts set demo alerts.emails" in answer["error"]) == (409, True)
    assert fake.told == []


async def test_e_mail_addresses_are_refused_where_nobody_sends_mail(fake: Alerting) -> None:
    body = orjson.dumps({"alerts": {"emails": ["bob@shop.example"]}})
    status, answer = await ask(app_of(fake), "PUT", "/v1/accounts/demo", body)
    assert (status, "[smtp]" in answer["error"]) == (422, True)


async def test_alerts_that_are_not_read_yet_are_503(fake: Alerting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_routes, "VIEW_SECONDS", 0.1)
    app = app_of(fake)
    assert fake.view is not None
    fake.view._view.ready = asyncio.Event()
    assert (await ask(app, "GET", PATH))[0] == 503


async def test_the_secret_is_for_an_administrator_of_the_account_and_can_be_replaced(fake: Alerting) -> None:
    operator, operates = key(1, scopes=["read", "operate", "numbers"])
    stranger, elsewhere = key(2, accounts=["elsewhere"])
    admin, owns = key(3, accounts=["demo"])
    app = app_of(fake, operates, elsewhere, owns)
    _, first = await ask(app, "GET", f"{PATH}/secret", **bearer(admin))
    assert (first["webhook_secret"], first["secret"][:6], len(first["secret"])) == (1, "whsec_", 50)
    assert (await ask(app, "GET", f"{PATH}/secret", **bearer(operator)))[0] == 403
    assert (await ask(app, "GET", f"{PATH}/secret", **bearer(stranger)))[0] == 403
    fake.accounts.apply({"accounts": {"demo": {"alerts": {"webhook_secret": 2}}}}, at=3)
    _, second = await ask(app, "GET", f"{PATH}/secret", **bearer(admin))
    assert second["secret"] != first["secret"]
