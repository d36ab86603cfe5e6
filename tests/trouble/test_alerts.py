"""A campaign becomes suspended, and its account hears of it by e-mail, webhook and text message, though mail server
and webhook are away at first and the worker is killed: on the whole stack."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from loadtest.aggregator.record import entries
from pipeline.alerts.sms import alert_campaign
from tests.adapters.alerts.mail_server import Mails
from tests.adapters.alerts.mail_server import serving as serving_mail
from tests.adapters.peer import Peer, answer, serving
from tests.trouble.scene import QUIET, Scene, wait_until

ACCOUNT = "/v1/accounts/alerted"
PHONE = "+12125550177"
TEXTS = alert_campaign("alerted", "other")


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(QUIET)
    return scripted_stage


class Hook:
    """A webhook in a thread: `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 500
        self.peer: Peer | None = None

    @property
    def taken(self) -> list[tuple[dict[str, str], bytes]]:
        return [] if self.peer is None else list(self.peer.requests)

    @contextmanager
    def serving(self) -> Iterator[str]:
        loop, up = asyncio.new_event_loop(), threading.Event()
        over = asyncio.Event()

        async def connected(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await peer.request(reader)
            writer.write(answer(self.status))
            await writer.drain()

        async def run() -> None:
            async with serving(connected) as peer:
                self.peer = peer
                up.set()
                await over.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
        thread.start()
        try:
            assert up.wait(10)
            assert self.peer is not None
            yield f"http://127.0.0.1:{self.peer.port}/hook"
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


def alerts(stage: Scene, about: str) -> list[dict[str, Any]]:
    return [item for item in stage.api.get(f"{ACCOUNT}/alerts")["alerts"] if item["about"] == about]


def states(alert: dict[str, Any]) -> dict[str, str]:
    return {delivery["channel"]: delivery["state"] for delivery in alert["deliveries"]}


def texts(stage: Scene) -> list[str]:
    """What the aggregator got for people of the account, as often as it got it."""
    messages = (message for entry in entries(stage.arrivals.folder) for message in entry.batch().messages)
    return [message.text for message in messages if message.id.startswith(f"{TEXTS}-")]


def test_it_arrives_once_though_everything_is_away_and_the_worker_is_killed(stage: Scene) -> None:
    hook, mails = Hook(), Mails()
    with hook.serving() as url:
        destinations = [
            'alerts.emails=["ann@shop.example"]',
            f'alerts.webhooks=["{url}"]',
            f'alerts.numbers=["{PHONE}"]',
        ]
        stage.longwave("accounts", "set", "alerted", *destinations)
        draft = stage.draft(2_000, account="alerted", sender="main")
        stage.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
        draft.until_arrived(10)
        stage.api.send("DELETE", f"{ACCOUNT}/senders/main", suspend=True)
        draft.until("suspended", lambda shown: shown["status"] == "suspended")
        wait_until("the webhook is tried", lambda: len(hook.taken) > 0)
        stage.kill("worker-0")
        hook.status = 200
        with serving_mail(mails, port=stage.settings.smtp.port):
            wait_until(
                "the alert arrives everywhere",
                lambda: (
                    [states(item) for item in alerts(stage, "campaign_suspended")]
                    == [{"email": "sent", "webhook": "sent", "sms": "sent"}]
                ),
            )
            stage.kill("worker-0")
            wait_until("the text arrives", lambda: len(texts(stage)) > 0)
            stage.longwave("accounts", "test-alert", "alerted")
        assert f"{draft.id}" in stage.longwave("accounts", "alerts", "alerted")
    [alert] = alerts(stage, "campaign_suspended")
    assert "sender alerted/main" in alert["text"]
    # At least once, but nothing ended just between the mail and its record: this time it is once.
    [suspended, tested] = mails.messages
    assert suspended["Message-ID"] == f"<{alert['id']}@localhost>"
    assert tested["Subject"] == "alerted: a test alert"
    secret = stage.api.get(f"{ACCOUNT}/alerts/secret")["secret"]
    told = [Webhook(secret).verify(body.decode(), headers) for headers, body in hook.taken]
    assert {headers["webhook-id"] for headers, _ in hook.taken if b"campaign_suspended" in _} == {alert["id"]}
    assert told[0]["data"]["alerts"][0]["subject"] == draft.id
    assert sorted(text[:30] for text in texts(stage)) == sorted(
        f"Harbor & Pine: {text}"[:30] for text in (alert["text"], "This is a test: alerts of this account")
    ), "each text once"
    wait_until("the text is accounted for", lambda: _replies(stage).get("states", {}).get("accepted") == 2)
    assert _replies(stage)["kinds"] == {"alert": 2}
    assert _replies(stage)["residual"] == 0
    assert stage.letters() == []


def _replies(stage: Scene) -> dict[str, Any]:
    senders = stage.api.get("/v1/replies")["senders"]
    return next((item for item in senders if item["account"] == "alerted"), {})


def test_a_campaign_that_goes_on_and_is_suspended_anew_is_told_again(stage: Scene) -> None:
    before = {item["id"] for item in alerts(stage, "campaign_suspended")}
    stage.longwave("accounts", "set", "alerted", "alerts=")
    spec = orjson.dumps({"number": "+18885550103", "segments_per_second": 20})
    stage.api.send("PUT", f"{ACCOUNT}/senders/main", spec)
    draft = stage.draft(2_000, account="alerted", sender="main")
    stage.api.send("POST", f"/v1/campaigns/{draft.id}/launch")
    for number in (1, 2):
        draft.until("sending", lambda shown: shown["status"] == "sending")
        stage.api.send("DELETE", f"{ACCOUNT}/senders/main", suspend=True)
        draft.until("suspended", lambda shown: shown["status"] == "suspended")
        wait_until(
            f"alert {number}",
            lambda number=number: (
                len(  # type: ignore[misc]
                    {item["id"] for item in alerts(stage, "campaign_suspended") if item["subject"] == draft.id}
                    - before
                )
                == number
            ),
        )
        stage.api.send("PUT", f"{ACCOUNT}/senders/main", spec)
    draft.until("sending", lambda shown: shown["status"] == "sending")
    stage.api.send("POST", f"/v1/campaigns/{draft.id}/cancel")
