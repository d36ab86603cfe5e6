"""Routes of an account's alerts: the last ones with what became of each, a test, and the secret of its webhooks."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path, Query

from adapters.clock import now_ms
from api.routes.accounts import find_account
from api.services import Services, services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.numbers import masked
from pipeline.alerts.deliveries import destinations_of
from pipeline.alerts.signing import secret_of
from pipeline.alerts.texts import TEST_TEXT
from schemas import topics
from schemas.alerts import Alert, AlertDocument, Delivery, alert_id
from schemas.ids import NAME_PATTERN
from schemas.json import JsonObject
from schemas.times import iso, iso_or_none
from schemas.wire import encode

router = APIRouter(prefix="/v1/accounts/{account}/alerts", tags=["alerts"])
Shared = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(pattern=NAME_PATTERN)]
TEST_SECONDS: Final = 25.0
"""How long a test waits for all destinations: a mail may take `smtp.timeout`, a POST ten seconds."""
VIEW_SECONDS: Final = 5.0


@router.get("")
async def alerts(account: Name, shared: Shared, size: Annotated[int, Query(ge=1, le=200)] = 50) -> JsonObject:
    """The last alerts of an account, the newest first, and what became of each at each destination. Addresses are
    masked without the scope numbers. 30 days are kept, of what is over the last 50."""
    await find_account(shared, account)
    await _read(shared)
    return {"alerts": [_alert_json(document) for document in shared.alerts.of(account)[:size]]}


@router.post("/test")
async def test(account: Name, shared: Shared) -> JsonObject:
    """Send a test alert to every destination of the account, each tried once, and say what became of it. `waiting`
    is not settled yet; `carried_out` is false if no worker has taken it."""
    caller().check_account(account)
    known = await find_account(shared, account)
    if not destinations_of(known.spec.alerts):
        raise ApiError(
            409,
            f"nobody gets the alerts of account {account!r}: name e-mail addresses, webhooks or phone numbers, for "
            f'instance `longwave accounts set {account} alerts.emails=["ann@shop.example"]`',
        )
    await _read(shared)
    shared.check_kafka("sent")
    alert = Alert(
        id=alert_id("test", account, uuid.uuid4().hex), account=account, about="test", at=now_ms(), text=TEST_TEXT
    )
    await shared.producer.emit(topics.ALERTS.name, encode(alert), key=account.encode())
    document = await shared.alerts.delivered(account, alert.id, TEST_SECONDS)
    if document is None:
        return {**_alert_json(AlertDocument(alert=alert, place=0, deliveries=[])), "carried_out": False}
    return {**_alert_json(document), "carried_out": True}


@router.get("/secret")
async def secret(account: Name, shared: Shared) -> JsonObject:
    """The secret that signs the account's webhooks, as libraries of Standard Webhooks take it. Needs a key with the
    scope admin. Raise `alerts.webhook_secret` of the account for another one."""
    caller().check_account(account)
    known = await find_account(shared, account)
    number = known.spec.alerts.webhook_secret
    key = shared.settings.token_key.get_secret_value().encode()
    return {"account": account, "webhook_secret": number, "secret": secret_of(key, account, number)}


async def _read(shared: Services) -> None:
    try:
        async with asyncio.timeout(VIEW_SECONDS):
            await shared.alerts.ready()
    except TimeoutError as error:
        raise ApiError(503, "alerts are still being read from Kafka; try again in a few seconds") from error


def _alert_json(document: AlertDocument) -> JsonObject:
    alert = document.alert
    return {
        "id": alert.id,
        "account": alert.account,
        "about": alert.about,
        "subject": alert.subject,
        "at": iso(alert.at),
        "text": alert.text,
        "deliveries": [_delivery_json(item) for item in document.deliveries],
    }


def _delivery_json(item: Delivery) -> JsonObject:
    is_open = item.state in ("held", "waiting")
    return {
        "channel": item.channel,
        "to": item.to if caller().may("numbers") else masked_destination(item),
        "state": item.state,
        "attempts": item.attempts,
        "next": iso_or_none(item.due) if is_open else None,
        "ended": iso_or_none(item.ended),
        "problem": item.problem,
    }


def masked_destination(item: Delivery) -> str:
    """A destination for whoever may not see it. The path of a webhook may be a secret."""
    if item.channel == "sms":
        return masked(item.to)
    if item.channel == "email":
        local, _, domain = item.to.rpartition("@")
        return f"{local[:1]}•••@{domain}"
    parts = urlsplit(item.to)
    return f"{parts.scheme}://{parts.netloc}/•••"
