"""Links on the domains of accounts: the ingress follows a short link on every name, but not on another account's."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.health.state import Health
from adapters.settings import Settings
from api.ingress.app import Ingress, Known
from pipeline.accounts.book import Accounts
from pipeline.identity.optout_links import optout_tokens
from pipeline.identity.tokens import click_tokens
from schemas import topics
from schemas.accounts import AccountDocument, AccountSpec
from schemas.campaign import CampaignDocument
from tests.api.test_ingress_answers import Emitter

CAMPAIGN = "4f7k2q9z"
NUMBER = 12_125_550_123
SPEC = {
    "name": "Sale",
    "account": "demo",
    "audience": {"lists": ["a"]},
    "messages": [{"text": "{link}", "links": {"default": "https://shop.example/sale"}}],
}


class Campaigns:
    def get(self, campaign: str) -> CampaignDocument | None:
        known = CampaignDocument(id=CAMPAIGN, spec=SPEC, status="sending", revision=1, created=0, updated=0)
        return known if campaign == CAMPAIGN else None


def book(**domains: str) -> Accounts:
    """A domain of each of these accounts."""
    accounts = Accounts()
    for name in ("demo", "other"):
        of_account: Any = {domains[name]: {"active": False}} if name in domains else {}
        spec = AccountSpec(domains=of_account).model_dump(mode="json")
        accounts.take(
            AccountDocument(
                account=name, number=1, spec=spec, revision=1, generation=1, created=0, updated=0, by="t", command="c"
            )
        )
    return accounts


async def ask(ingress: Ingress, method: str, path: str, host: str) -> tuple[int, dict[str, str]]:
    headers = [(b"host", host.encode())] if host else []
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ingress(scope, receive, send)  # type: ignore[arg-type]
    return sent[0]["status"], {key.decode(): value.decode() for key, value in sent[0]["headers"]}


def serving(emitter: Emitter, accounts: Accounts) -> Ingress:
    made = Ingress(Settings(), emitter, Known(Campaigns(), accounts), Health("ingress"))  # type: ignore[arg-type]
    made.ready.set()
    return made


@pytest.mark.parametrize(
    ("host", "follows"),
    [
        ("go.example", True),  # its own, though no new message carries it
        ("GO.example:8443", True),
        ("removed.example", True),  # nobody's anymore: old messages have it
        ("s.installation.example", True),
        ("10.0.0.7", True),
        ("", True),
        ("other.example", False),
        ("Other.Example", False),
    ],
)
async def test_a_short_link_is_followed_on_every_name_but_another_accounts(host: str, follows: bool) -> None:
    emitter = Emitter({})
    ingress = serving(emitter, book(demo="go.example", other="other.example"))
    key = Settings().token_key.get_secret_value().encode()
    [token] = click_tokens(key, CAMPAIGN, 0, 0, [7])
    status, headers = await ask(ingress, "GET", f"/c/{token}", host)
    assert status == (302 if follows else 404)
    assert headers.get("location") == ("https://shop.example/sale" if follows else None)
    assert [topic for topic, _ in emitter.written] == ([topics.CLICKS.name] if follows else [])
    await ingress.close()


@pytest.mark.parametrize("host", ["go.example", "other.example", "removed.example", ""])
async def test_an_opt_out_works_on_every_name(host: str) -> None:
    """Nobody may be kept from opting out."""
    emitter = Emitter({})
    ingress = serving(emitter, book(demo="go.example", other="other.example"))
    key = Settings().token_key.get_secret_value().encode()
    [token] = optout_tokens(key, CAMPAIGN, [NUMBER])
    assert (await ask(ingress, "GET", f"/o/{token}", host))[0] == 200
    assert emitter.written == []
    assert (await ask(ingress, "POST", f"/o/{token}", host))[0] == 200
    assert {topic for topic, _ in emitter.written} == {topics.OPTOUTS.name}
    await ingress.close()
