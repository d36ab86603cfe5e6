"""An account's money over HTTP, through the step and the view that a worker and Kafka stand for."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from pipeline.identity.api_keys import made
from schemas import topics
from schemas.accounts import MICRO
from schemas.ledger import Reserve
from schemas.wire import encode
from tests.api.app import FIRST, Audited, ask, key_like, served

OWN = made(bytes(range(1, 31)))
TOP_UPS = "/v1/accounts/demo/top-ups"


@pytest.fixture
def fake() -> Audited:
    return Audited()


async def top_up(app: FastAPI, amount: object, **headers: str) -> tuple[int, Any]:
    return await ask(app, "POST", TOP_UPS, orjson.dumps({"amount": amount, "note": "INV-7"}), **headers)


async def balance(app: FastAPI) -> Any:
    status, answer = await ask(app, "GET", "/v1/accounts/demo/balance")
    assert status == 200
    return answer


async def test_a_top_up_is_exact_and_stands_in_the_audit_log(fake: Audited) -> None:
    app = served(fake)
    status, answer = await top_up(app, "0.1")
    assert (status, answer["amount"], answer["note"], answer["balance"]["available"]) == (201, "0.1", "INV-7", "0.1")
    await top_up(app, "0.2")
    assert (await balance(app))["balance"] == "0.3"
    assert [entry.account for entry in fake.entries if entry.method == "POST"] == ["demo", "demo"]
    assert '"amount":"0.2"' in str(fake.entries[-1].after).replace(" ", "") or "0.2" in str(fake.entries)


async def test_the_same_top_up_sent_again_counts_once_also_at_another_process(fake: Audited) -> None:
    app, other = served(fake), served(fake)
    named = {"idempotency-key": "order-7"}
    first = await top_up(app, "5", **named)
    assert await top_up(app, "5", **named) == first
    assert (await top_up(other, "5", **named))[1]["id"] == first[1]["id"]
    status, answer = await top_up(served(fake), "6", **named)
    assert (status, "another amount" in answer["error"]) == (422, True)
    assert (await balance(app))["balance"] == "5"


async def test_a_correction_takes_no_more_than_is_available(fake: Audited) -> None:
    app = served(fake)
    await top_up(app, "10")
    asked = {"campaign": "00000001", "revision": 2, "amount": 7 * MICRO, "segments": 7}
    ask_for = Reserve(account="demo", billing="prepaid", waits=False, at=1, **asked)  # type: ignore[arg-type]
    await fake.emit(topics.LEDGER_COMMANDS.name, encode(ask_for), key=b"demo")
    status, answer = await top_up(app, "-3.000001")
    assert (status, "only 3 credits are available" in answer["error"]) == (409, True)
    assert (await top_up(app, "-3"))[0] == 201
    known = await balance(app)
    assert (known["balance"], known["reserved"], known["available"]) == ("7", "7", "0")


@pytest.mark.parametrize("amount", ["0", "0.0000001", "NaN", "Infinity", "1e13", "abc", None, True, "", [1]])
async def test_what_is_no_amount_is_refused(fake: Audited, amount: object) -> None:
    status, answer = await top_up(served(fake), amount)
    assert (status, "amount" in answer["error"]) == (422, True)
    assert fake.ledger.commands == []


async def test_only_a_key_for_every_account_changes_what_an_account_pays(fake: Audited) -> None:
    app = served(fake, [FIRST, key_like(OWN, accounts=["demo"])])
    own = {"authorization": f"Bearer {OWN}"}
    status, answer = await top_up(app, "5", **own)
    assert (status, "every account" in answer["error"]) == (403, True)
    assert (await ask(app, "GET", "/v1/accounts/demo/balance", **own))[0] == 200
    spec = (await ask(app, "GET", "/v1/accounts/demo"))[1]["spec"]
    for change in ({"billing": "prepaid"}, {"trial_segments": 5}, {"price_list": "cheap"}):
        body = orjson.dumps({**spec, **change})
        status, answer = await ask(app, "PUT", "/v1/accounts/demo", body, **own)
        assert (status, next(iter(change)) in answer["error"]) == (403, True)
        applied = orjson.dumps({"accounts": {"demo": {**spec, **change}}})
        status, answer = await ask(app, "POST", "/v1/accounts/apply", applied, **own)
        assert (status, next(iter(change)) in answer["error"]) == (403, True)
    body = orjson.dumps({**spec, "site_name": "New", "low_balance": "5"})
    assert (await ask(app, "PUT", "/v1/accounts/demo", body, **own))[0] == 200
    assert (await ask(app, "PUT", "/v1/accounts/demo", orjson.dumps({**spec, "billing": "prepaid"})))[0] == 200


async def test_an_account_does_not_get_away_from_paying_by_being_made_anew(fake: Audited) -> None:
    app = served(fake, [FIRST, key_like(OWN, accounts=["demo"])])
    own = {"authorization": f"Bearer {OWN}"}
    spec = (await ask(app, "GET", "/v1/accounts/demo"))[1]["spec"]
    prepaid = orjson.dumps({**spec, "billing": "prepaid"})
    assert (await ask(app, "PUT", "/v1/accounts/demo", prepaid))[0] == 200
    assert (await ask(app, "DELETE", "/v1/accounts/demo", **own))[0] == 200
    assert (await ask(app, "PUT", "/v1/accounts/demo", b"{}", **own))[0] == 403
    assert (await ask(app, "PUT", "/v1/accounts/demo", prepaid, **own))[0] == 200


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("from=2026-01-02&to=2026-01-01", "days"), ("from=2026-01-01&to=2028-01-01", "days"),
        ("from=1999-01-01&to=2026-01-01", "year"), ("from=x&to=2026-01-01", "from"), ("to=2026-01-01", "from"),
    ],
)  # fmt: skip
async def test_a_period_that_is_none_is_refused(fake: Audited, query: str, wrong: str) -> None:
    for kind in ("statement", "statement.csv"):
        status, answer = await ask(served(fake), "GET", f"/v1/accounts/demo/{kind}?{query}")
        assert (status, wrong in answer["error"]) == (422, True)
    status, _ = await ask(served(fake), "GET", "/v1/accounts/demo/invoice.csv?month=2026-13")
    assert status == 422
