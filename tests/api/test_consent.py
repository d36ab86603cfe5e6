"""Consent by account, holds that an operator decides, and personal data, on the running stack."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from adapters.aggregators import signing
from adapters.clock import now_ms
from adapters.kafka.producer import Producer
from cli.main import run
from schemas import topics
from schemas.feedback import Unreachable
from schemas.wire import encode
from tests.api.live import Live, eventually, set_all


def say(live: Live, *said: dict[str, str]) -> dict[str, Any]:
    """Texts of people, as the aggregator posts them to the ingress; its answer."""
    sender = live.sender()
    body = orjson.dumps({"texts": [{"to": sender.number, **item} for item in said]})
    secret = live.settings.aggregators[sender.aggregator].secret.get_secret_value().encode()
    headers = {**signing.signed(secret, now_ms(), body), "Content-Type": "application/json"}
    url = f"{live.settings.ingress.url}/v1/inbound/{sender.aggregator}"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        assert answer.status == 202
        return dict(json.loads(answer.read()))


def shown(live: Live, number: str) -> dict[str, Any]:
    return live.api.get(f"/v1/optouts/{quote(number)}")


def test_what_may_be_an_opt_out_holds_until_an_operator_has_decided(live: Live) -> None:
    doubtful, clear = "+12125550271", "+12125550272"
    say(live, *({"id": "h1", "from": item, "text": "Who is this? stop"} for item in (doubtful, clear)))
    eventually(lambda: [shown(live, item)["held"] for item in (doubtful, clear)], lambda held: held == [True, True])
    waiting = [
        item for item in live.api.get("/v1/inbox", what="held")["lines"] if item["number"] in (doubtful, clear)
    ]
    assert {(item["change"], item["intent"]) for item in waiting} == {("held", "doubtful")}
    assert all(item["word"] and item["rule"] for item in waiting), "it shows which word and rule decided"
    assert shown(live, doubtful)["accounts"]["demo"] == "held_for_review"
    path = f"/v1/optouts/{quote(doubtful)}/holds"
    hold = next(item["hold"] for item in waiting if item["number"] == doubtful)
    live.api.send(
        "POST", path, orjson.dumps({"decision": "out", "hold": hold, "who": "ann", "evidence": "clear enough"})
    )
    live.api.send("POST", f"/v1/optouts/{quote(clear)}/holds", orjson.dumps({"decision": "clear", "who": "ann"}))
    out = eventually(lambda: shown(live, doubtful), lambda item: item["opted_out"] and not item["held"])
    assert {(item["state"], item["source"], item["who"]) for item in out["history"]} == {
        ("held", "inbound", ""), ("out", "review", "ann"), ("in", "review", "ann"),
    }  # fmt: skip
    let_go = eventually(lambda: shown(live, clear), lambda item: not item["held"])
    assert (let_go["opted_out"], let_go["accounts"]["demo"]) == (False, "")


def test_a_sender_that_cannot_be_read_is_shown_to_an_operator(live: Live) -> None:
    answer = say(live, {"id": "u1", "from": "Bob’s phone", "text": "STOP"}, {"id": "u2", "text": "hello"})
    assert [item["index"] for item in answer["unread"]] == [0, 1]
    lines = eventually(lambda: live.api.get("/v1/inbox", what="unread")["lines"], lambda actual: len(actual) >= 2)
    assert {("Bob’s phone", "STOP"), ("", "hello")} <= {(line["person"], line["text"]) for line in lines}


def test_an_opt_out_of_one_account_is_no_opt_out_of_another(live: Live) -> None:
    number = "+12125550273"
    body = {"numbers": [number], "account": "demo", "evidence": "by post"}
    live.api.send("POST", "/v1/optouts", orjson.dumps(body))
    actual = eventually(lambda: shown(live, number), lambda item: item["opted_out"])
    assert [(item["account"], item["state"]) for item in actual["history"]] == [("demo", "out")]
    live.api.send("DELETE", f"/v1/optouts/{quote(number)}", orjson.dumps({"evidence": "phoned"}))
    actual = eventually(lambda: shown(live, number), lambda item: not item["opted_out"])
    assert [(item["account"], item["state"]) for item in actual["history"]] == [("demo", "out"), ("demo", "in")]


async def note_unreachable(live: Live, number: int) -> None:
    record = Unreachable(number=number, reason="landline", at=now_ms(), account="demo", campaign="0000000a")
    producer = Producer(live.settings.kafka)
    await producer.emit(topics.UNREACHABLE.name, encode(record), key=str(number).encode())
    await producer.close()


def test_a_person_gets_all_stored_data_and_is_erased_except_for_the_opt_out(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, live.variables)
    number = "+12125550274"
    say(live, {"id": "p1", "from": number, "text": "my address is 12 Elm Street"})
    asyncio.run(note_unreachable(live, int(number)))
    path = f"/v1/contacts/{quote(number)}"
    eventually(lambda: live.api.get(path), lambda actual: len(actual["texts"]) == 1 and actual["unreachable"])
    file = tmp_path / "person.json"
    assert run(["contacts", "export", number, "--out", str(file)]) == 0
    assert json.loads(file.read_bytes())["texts"][0]["text"] == "my address is 12 Elm Street"
    assert run(["contacts", "show", number]) == 0
    shown = capsys.readouterr().out
    assert "12 Elm Street" in shown
    assert "unreachable (the number is a landline), reported for campaign 0000000a" in shown
    assert run(["contacts", "delete", number, "--evidence", "asked by letter", "--yes"]) == 0
    assert "opted out of every account" in capsys.readouterr().out
    left = eventually(
        lambda: live.api.get(path),
        lambda actual: not actual["texts"] and actual["consents"] and not actual["unreachable"],
    )
    assert [(item["state"], item["source"], item["evidence"]) for item in left["consents"]] == [
        ("out", "erasure", "asked by letter")
    ]
