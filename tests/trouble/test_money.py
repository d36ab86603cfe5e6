"""Money on the whole stack: many launches at once on a balance that is enough for some, workers that are killed in
between, and in the end every account of it says the same."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.export import export
from adapters.terminal import UserError
from pipeline.campaign.when import LEAD_MS
from pipeline.feedback.replies import reply_campaign
from schemas.accounts import in_credits
from schemas.succession import HANDED_OVER
from tests.trouble.phone import got, says
from tests.trouble.scene import MESSAGE, QUIET, SETTINGS, Campaign, Scene, scene, wait_until

LAUNCHES, ENOUGH_FOR, RECIPIENTS = 50, 20, 20
DEMO = """[accounts.demo]
billing = "prepaid\""""
SOON = 60.0
"""Seconds until the processing of a scheduled campaign begins."""
PREPAID = SETTINGS.replace("[accounts.demo]", DEMO)
TEXTED = """
[accounts.texted]
site_name = "Harbor"
billing = "prepaid"
replies.auto = "Nobody reads this number"
[accounts.texted.senders.main]
number = "+18885550107"
segments_per_second = 20
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("money"), QUIET, changes=PREPAID + TEXTED) as made:
        yield made


def balance(stage: Scene, account: str = "demo") -> dict[str, Any]:
    return stage.api.get(f"/v1/accounts/{account}/balance")


def top_up(stage: Scene, amount: Decimal, account: str = "demo") -> dict[str, Any]:
    body = json.dumps({"amount": str(amount)}).encode()
    return stage.api.send("POST", f"/v1/accounts/{account}/top-ups", body)


def drafts(stage: Scene, count: int, **spec: Any) -> list[Campaign]:
    """Campaigns to the same contacts."""
    first = stage.draft(RECIPIENTS, **spec)
    lists = first.show()["spec"]["audience"]["lists"]
    body = {"name": "x", "audience": {"lists": lists}, "messages": [MESSAGE], "smart_sending_hours": 0, **spec}
    made = [stage.api.send("POST", "/v1/campaigns", json.dumps(body).encode()) for _ in range(count - 1)]
    return [first, *(Campaign(stage, item["id"], RECIPIENTS) for item in made)]


def cost_of(stage: Scene, campaigns: list[Campaign], states: tuple[str, ...]) -> Decimal:
    """What the messages of recipients in these states cost, recipient by recipient, by ClickHouse."""
    store, amount = Store(stage.settings.clickhouse), 0
    try:
        for campaign in campaigns:
            for batch in export(store, campaign.id):
                rows = batch.to_pylist()
                amount += sum(row["segments"] * row["price"] for row in rows if row["state"] in states)
    finally:
        store.close()
    return Decimal(in_credits(amount))


def settled(stage: Scene, campaigns: list[Campaign]) -> dict[str, Any]:
    """The balance once nothing is reserved but what those could cost who were in flight when a worker died."""

    def is_settled() -> bool:
        return Decimal(balance(stage)["reserved"]) == cost_of(stage, campaigns, ("unknown",))

    wait_until("only what is unknown is reserved", is_settled, pause=1.0)
    return balance(stage)


def refusals(stage: Scene, campaigns: list[Campaign]) -> list[str]:
    """Launch all at once through the API; what it said."""

    def launch(campaign: Campaign) -> str:
        try:
            stage.api.send("POST", f"/v1/campaigns/{campaign.id}/launch")
        except UserError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(launch, campaigns))


def period() -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"from={day[:8]}01&to={day}"


def test_of_many_launches_at_once_exactly_those_run_for_which_there_is_enough(stage: Scene) -> None:
    # Transactional, and without receipts: no law and no carrier keeps the same people from getting all of them.
    campaigns = drafts(stage, LAUNCHES, transactional=True)
    most = stage.api.get(f"/v1/campaigns/{campaigns[0].id}/review")["most"]
    assert most > 0
    one = Decimal(in_credits(most))
    before = top_up(stage, one * ENOUGH_FOR + one / 2)["balance"]
    # As the API does when it has checked a campaign and all is well: nobody sees the balance before the ledger.
    for campaign in campaigns[10:]:
        stage.command(campaign, "launch")
    stage.kill("worker-0")
    errors = refusals(stage, campaigns[:10])
    stage.kill("worker-0")

    def decided() -> bool:
        statuses = [campaign.show()["status"] for campaign in campaigns]
        return (
            sum(status in ("sent", "finished") for status in statuses) == ENOUGH_FOR
            and statuses.count("draft") == LAUNCHES - ENOUGH_FOR
        )

    wait_until("some are sent and some are drafts", decided, pause=1.0)
    shown = [campaign.show() for campaign in campaigns]
    refused = [item for item in shown if item["status"] == "draft"]
    assert all(item["reason"].startswith("balance_short:") for item in refused if item["reason"]), refused
    for error, item in zip(errors, shown[:10], strict=True):
        assert item["status"] == "draft" or "short of" not in error, "who is refused does not run"
    ran = [campaign for campaign, item in zip(campaigns, shown, strict=True) if item["status"] != "draft"]
    after = settled(stage, ran)
    spent, unknown = (cost_of(stage, ran, states) for states in (HANDED_OVER, ("unknown",)))
    assert spent + unknown == one * ENOUGH_FOR
    assert Decimal(after["balance"]) == Decimal(before["balance"]) - spent
    assert after["uncovered"] == "0"
    _statements(stage, ran)


def _statements(stage: Scene, ran: list[Campaign]) -> None:
    cost = cost_of(stage, ran, HANDED_OVER)

    def said() -> bool:
        answer = stage.api.get("/v1/accounts/demo/statement?" + period())
        return bool(answer["closing"] == balance(stage)["balance"])

    wait_until("the statement has everything", said, pause=0.5)
    items = stage.api.get("/v1/accounts/demo/statement?size=1000&" + period())["items"]
    assert -sum(Decimal(item["balance"]) for item in items if item["kind"] == "spent") == cost
    assert sum(Decimal(item["reserved"]) for item in items) == Decimal(balance(stage)["reserved"])
    month = time.strftime("%Y-%m", time.gmtime())
    rows = list(csv.DictReader(io.StringIO(stage.longwave("balance", "invoice", "demo", "--month", month))))
    assert sum(Decimal(row["amount"]) for row in rows) == cost
    assert sum(Decimal(row["price"]) * int(row["segments"]) for row in rows) == cost
    assert {row["campaign"] for row in rows} == {campaign.id for campaign in ran}


def test_a_scheduled_campaign_that_is_short_waits_and_goes_on_after_a_top_up(stage: Scene) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + LEAD_MS / 1000 + SOON))
    first, second = (stage.draft(RECIPIENTS, send_at=soon, name=name) for name in ("first", "second"))
    before = balance(stage)
    for campaign in (first, second):
        stage.command(campaign, "launch")
    for campaign in (first, second):
        campaign.until("it waits for a top-up", lambda shown: shown["status"] == "suspended")
    waiting = balance(stage)["waiting"]
    assert {item["campaign"] for item in waiting} == {first.id, second.id}
    assert balance(stage)["balance"] == before["balance"]
    stage.kill("worker-0")
    served, other = (first, second) if waiting[0]["campaign"] == first.id else (second, first)
    stage.longwave("campaign", "cancel", other.id)
    stage.longwave("balance", "top-up", "demo", waiting[0]["missing"])
    served.until("it goes on by itself", lambda shown: shown["status"] == "sending")
    known = balance(stage)
    assert (known["available"], known["waiting"]) == ("0", [])
    assert Decimal(known["reserved"]) == Decimal(before["reserved"]) + Decimal(waiting[0]["asked"])
    assert other.show()["status"] == "canceled"
    stage.longwave("campaign", "cancel", served.id)
    wait_until("what it needs no more is free", lambda: balance(stage)["reserved"] == before["reserved"], pause=0.5)
    assert Decimal(balance(stage)["balance"]) == Decimal(before["balance"]) + Decimal(waiting[0]["missing"])


def test_replies_are_paid_for_and_without_a_balance_only_what_the_law_wants_is_said(stage: Scene) -> None:
    campaign, to = reply_campaign("texted", "main"), "+18885550107"
    first, second = 14_155_551_001, 14_155_551_002
    says(stage, (first, "HELP"), to=to)
    wait_until("HELP is answered though nothing was paid", lambda: len(got(stage, first, campaign)) == 1)
    price = Decimal("0.0079")
    wait_until("it is not covered", lambda: Decimal(balance(stage, "texted")["uncovered"]) == price, pause=0.5)
    says(stage, (first, "hello"), (second, "HELP"), to=to)
    # What was written before it had its chance.
    wait_until("the other one is answered", lambda: len(got(stage, second, campaign)) == 1)
    assert len(got(stage, first, campaign)) == 1
    wait_until("it is not covered", lambda: Decimal(balance(stage, "texted")["uncovered"]) == 2 * price, pause=0.5)

    top_up(stage, price, "texted")
    assert Decimal(balance(stage, "texted")["available"]) == price, "what was not covered is not charged later"

    def answered() -> bool:
        # The worker hears of the top-up a moment after the API: whoever writes too soon has no answer.
        says(stage, (second, "do you ship?"), to=to)
        return len(got(stage, second, campaign)) > 1

    wait_until("a text is answered", answered, pause=1.0)
    assert got(stage, second, campaign)[1] == "Harbor: Nobody reads this number"

    def is_charged() -> bool:
        replies = len(got(stage, first, campaign)) + len(got(stage, second, campaign))
        actual = balance(stage, "texted")
        return Decimal(actual["uncovered"]) == (replies - 1) * price and actual["balance"] == "0"

    # Whoever wrote again before the first answer was charged may have a second one.
    wait_until("all are charged, as far as there was something", is_charged, pause=0.5)

    def items() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = stage.api.get(f"/v1/accounts/texted/statement?size=1000&{period()}")["items"]
        return found

    # The statement is read from ClickHouse, which hears of it a moment later.
    wait_until("the statement has all of it", lambda: sum(Decimal(item["balance"]) for item in items()) == 0)
    assert {item["campaign"] for item in items() if item["kind"] == "spent"} == {campaign}
