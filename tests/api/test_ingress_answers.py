"""What the ingress answers when something of ours fails, and what it has written by then."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from adapters.aggregators import signing
from adapters.clock import now_ms
from adapters.doors import settings as doors
from adapters.errors import EmitError
from adapters.health.state import Health
from adapters.ports import Delivered
from adapters.settings import Settings
from api.ingress.app import Ingress, Known
from pipeline.accounts.book import Accounts
from schemas import topics
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes
from schemas.feedback import INBOUND, OPTOUTS, Erasure, UnreadText
from schemas.feedback import RECEIPTS as RECEIPTS_TOPIC
from tests.accounts import book


class Emitter:
    """Keeps what is written; writing to `failing` raises."""

    def __init__(self, failing: dict[str, Exception]) -> None:
        self.failing = failing
        self.written: list[tuple[str, bytes | None]] = []

    async def emit(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, partition: int | None = None
    ) -> Delivered:
        if topic in self.failing:
            raise self.failing[topic]
        self.written.append((topic, value))
        return Delivered(0, len(self.written))

    def letters(self) -> list[DeadLetter]:
        actual = [DEAD_LETTERS.decode(value) for topic, value in self.written if topic == topics.DEAD_LETTERS.name]
        return [letter for letter in actual if isinstance(letter, DeadLetter)]


class NoCampaigns:
    """A view that knows none."""

    def get(self, campaign: str) -> None:
        return None


async def post(
    emitter: Emitter,
    kind: str,
    body: dict[str, Any] | bytes,
    host: str = "",
    settings: Settings | None = None,
    accounts: Accounts | None = None,
) -> tuple[int, dict[str, Any]]:
    """One signed callback, through the whole application."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    settings = settings or Settings()
    secret = settings.aggregators["local"].secret.get_secret_value().encode()
    headers = [
        (name.lower().encode(), value.encode()) for name, value in signing.signed(secret, now_ms(), raw).items()
    ]
    headers.append((b"host", host.encode()))
    scope = {"type": "http", "method": "POST", "path": f"/v1/{kind}/local", "headers": headers, "query_string": b""}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    known = Known(NoCampaigns(), accounts or book())  # type: ignore[arg-type]
    ingress = Ingress(settings, emitter, known, Health("ingress"))  # type: ignore[arg-type]
    ingress.ready.set()
    await ingress(scope, receive, send)  # type: ignore[arg-type]
    await ingress.close()
    return sent[0]["status"], orjson.loads(b"".join(message.get("body", b"") for message in sent))


RECEIPTS = {"receipts": [{"id": "4f7k2q9z-0-17", "status": "delivered", "code": "", "at": 1764000000000}]}
TEXTS = {"texts": [{"id": "1", "from": "+12125550123", "to": "+18885550100", "text": "hello"}, {"id": "2"}]}


@pytest.mark.parametrize(("kind", "body"), [("receipts", RECEIPTS), ("inbound", TEXTS)])
async def test_a_defect_is_answered_500_and_leaves_no_dead_letter(kind: str, body: dict[str, Any]) -> None:
    emitter = Emitter({kind: ValueError("a defect")})
    status, answer = await post(emitter, kind, body)
    assert status == 500
    assert "try again" in answer["error"]
    assert "a defect" not in answer["error"].removeprefix("a defect of ours")
    assert emitter.written == []


@pytest.mark.parametrize(("kind", "body"), [("receipts", RECEIPTS), ("inbound", TEXTS)])
async def test_what_kafka_did_not_take_is_answered_503_and_leaves_no_dead_letter(
    kind: str, body: dict[str, Any]
) -> None:
    emitter = Emitter({kind: EmitError("away")})
    assert (await post(emitter, kind, body))[0] == 503
    assert emitter.written == []


async def test_a_refused_item_that_comes_again_after_a_failed_answer_is_one_dead_letter() -> None:
    emitter = Emitter({topics.DEAD_LETTERS.name: EmitError("away")})
    assert (await post(emitter, "inbound", TEXTS))[0] == 503
    emitter.failing = {}
    for _ in range(2):
        assert (await post(emitter, "inbound", TEXTS))[0] == 202
    assert len({letter.origin for letter in emitter.letters()}) == 1


STOPS = {"texts": [{"id": "1", "from": "+12125550123", "to": "+18885550100", "text": "STOP"}]}


@pytest.mark.parametrize("host", ["", "sms.shop.example", "10.0.0.7", "old-name.example:8443", "évil.example"])
@pytest.mark.parametrize(
    "ingress", [doors.Ingress(port=1), doors.Ingress(port=1, host="0.0.0.0", public_url="https://a.example")]
)
async def test_a_stop_is_accepted_under_every_field_name(host: str, ingress: doors.Ingress) -> None:
    """A proxy may keep its own name, and public_url may be unset or another by now: what counts is the signature."""
    emitter = Emitter({})
    status, _ = await post(emitter, "inbound", STOPS, host, Settings().model_copy(update={"ingress": ingress}))
    assert status == 202
    assert {topic for topic, _ in emitter.written} >= {topics.OPTOUTS.name}


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("levels", [5_000, 200_000])
@pytest.mark.parametrize("kind", ["receipts", "inbound"])
@pytest.mark.parametrize(
    "around", [b"%s", b'{"texts": [%s]}', b'{"receipts": [%s]}', b'{"x": %s, "texts": [], "receipts": []}']
)
async def test_a_body_nested_too_deep_is_refused_in_words_and_kept(kind: str, around: bytes, levels: int) -> None:
    emitter, raw = Emitter({}), around % deep(levels)
    status, answer = await post(emitter, kind, raw)
    assert status == 400
    assert "nested too deep" in answer["error"]
    assert [to_bytes(letter.value) for letter in emitter.letters()] == [raw]


@pytest.mark.parametrize("kind", ["receipts", "inbound"])
async def test_an_odd_item_of_any_depth_is_refused_by_itself_or_with_its_body(kind: str) -> None:
    """Between what can be read and written again and what cannot be read at all lie a few levels."""
    name = "texts" if kind == "inbound" else "receipts"
    statuses = []
    for levels in range(500, 1000):
        emitter = Emitter({})
        statuses.append((await post(emitter, kind, b'{"%s": [%s]}' % (name.encode(), deep(levels))))[0])
        assert len(emitter.letters()) == 1
    assert statuses == sorted(statuses)
    assert set(statuses) == {202, 400}


SENDERS = book("""
[accounts.shop.senders]
us = { number = "+18885550100" }
code = { number = "55555", country = "US" }
elsewhere = { number = "44444" }
[accounts.boutique.senders]
fr = { number = "36180", country = "FR" }
[accounts.kiosk.senders]
name = { number = "HARBOR" }
""")


@pytest.mark.parametrize(
    ("person", "sender", "closed", "unread"),
    [
        ("2125550123", "55555", {("shop", 12_125_550_123)}, False),
        ("612345678", "36180", {("boutique", 33_612_345_678)}, False),
        # Where the short code is, nobody said; the account's other senders are in the US.
        ("2125550123", "44444", {("shop", 12_125_550_123)}, True),
        ("2125550123", "HARBOR", set(), True),
        ("36111", "HARBOR", set(), True),
        ("+12125550123", "HARBOR", {("kiosk", 12_125_550_123)}, False),
        ("+999123456789", "HARBOR", {("kiosk", 999_123_456_789)}, False),
        # Florida or Belgium.
        ("3214567890", "55555", {("shop", 3_214_567_890), ("shop", 13_214_567_890)}, True),
        ("3214567890", "nobody's", {("", 3_214_567_890)}, False),
    ],
)
@pytest.mark.parametrize(("words", "state"), [("STOP", "out"), ("who gave you my number", "held")])
async def test_a_stop_closes_whoever_sent_it_or_an_operator_sees_it(
    person: str, sender: str, closed: set[tuple[str, int]], unread: bool, words: str, state: str
) -> None:
    emitter = Emitter({})
    body = {"texts": [{"id": "1", "from": person, "to": sender, "text": words}]}
    status, answer = await post(emitter, "inbound", body, accounts=SENDERS)
    assert (status, answer["taken"], [item["index"] for item in answer["unread"]]) == (202, 1, [0] * unread)
    consents = [OPTOUTS.decode(value) for topic, value in emitter.written if topic == topics.OPTOUTS.name and value]
    assert {(item.account, item.number) for item in consents} == closed
    assert {item.state for item in consents} <= {state}
    texts = [INBOUND.decode(value) for topic, value in emitter.written if topic == topics.INBOUND.name and value]
    assert [isinstance(text, UnreadText) for text in texts] == [unread]


@pytest.mark.parametrize(
    ("sender", "kept", "closed"),
    [
        ("33612345678.0", "", [33_612_345_678]),
        ("33612345678", "", [33_612_345_678]),
        ("3.3612345678e10", "", [33_612_345_678]),
        ('["+33612345678"]', '["+33612345678"]', [33_612_345_678]),
        ('["+33612345678", 12125550123]', '["+33612345678", 12125550123]', [33_612_345_678, 12_125_550_123]),
        ('{"number": "+33612345678"}', '{"number": "+33612345678"}', [33_612_345_678]),
        ('{"name": "Zoë"}', '{"name": "Zoë"}', []),
        ("true", "true", []),
        ("NaN", "NaN", []),
        ("1e300", "1e+300", []),
        ("0.5", "0.5", []),
        ("[]", "[]", []),
        ("null", "", []),
        ("[" * 700 + "]" * 700, "[" * 64, []),
    ],
)
async def test_a_sender_of_another_json_type_is_read_or_kept_as_it_came(
    sender: str, kept: str, closed: list[int]
) -> None:
    emitter = Emitter({})
    body = '{"texts": [{"id": 1.0, "from": %s, "to": 18885550100.0, "text": "STOP"}]}' % sender  # noqa: UP031
    assert (await post(emitter, "inbound", body.encode()))[0] == 202
    texts = [INBOUND.decode(value) for topic, value in emitter.written if topic == topics.INBOUND.name and value]
    assert [text.person if isinstance(text, UnreadText) else "" for text in texts] == [kept]
    assert {(text.id, text.account) for text in texts if not isinstance(text, Erasure)} == {("1", "demo")}
    consents = [OPTOUTS.decode(value) for topic, value in emitter.written if topic == topics.OPTOUTS.name and value]
    assert [item.number for item in consents] == closed


GOOD_STOP = b'{"from": "+33612345678", "to": "+18885550100", "text": "STOP"}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"texts": [{"from": "+12125550123", "text": "STOP\n"}, %s]}' % GOOD_STOP,
        b'{"texts": [{"from": "+12125550123", "text": "a\tb\x01\x1f\0"}, %s]}' % GOOD_STOP,
        b'{"texts": [{"from": "+12125550123", "te\nxt": "x", "text": "STOP"}, %s]}' % GOOD_STOP,
        b'{"texts": [{"from": %s, "text": "STOP"}, %s]}' % (b"9" * 5000, GOOD_STOP),
        b'{"texts": [{"from": "+12125550123", "text": "caf\xe9"}, %s]}' % GOOD_STOP,
        b'\xef\xbb\xbf{"texts": [%s]}' % GOOD_STOP,
        b'\xef\xbb\xbf{"texts": [%s]}\r\n\0' % GOOD_STOP,
        b'{"texts": [%s]}\0\0\0' % GOOD_STOP,
        (b'{"texts": [%s]}' % GOOD_STOP).decode().encode("utf-16"),
    ],
)
async def test_a_raw_character_of_one_text_refuses_no_neighbor(body: bytes) -> None:
    emitter = Emitter({})
    status, answer = await post(emitter, "inbound", body)
    assert (status, answer["refused"]) == (202, [])
    consents = [OPTOUTS.decode(value) for topic, value in emitter.written if topic == topics.OPTOUTS.name and value]
    assert 33_612_345_678 in {item.number for item in consents}


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b"\n"), (b"\xef\xbb\xbf", b""), (b"", b"\0"), (b"\xef\xbb\xbf", b"\r\n\0")]
)
async def test_a_raw_character_of_one_receipt_refuses_no_neighbor(before: bytes, after: bytes) -> None:
    emitter = Emitter({})
    odd = b'{"id": "4f7k2q9z-0-1", "status": "undelivered", "code": "30006\n"}'
    good = b'{"id": "4f7k2q9z-0-2", "status": "sent"}'
    status, answer = await post(emitter, "receipts", before + b'{"receipts": [%s, %s]}' % (odd, good) + after)
    assert (status, answer) == (202, {"taken": 2, "refused": []})
    batches = [RECEIPTS_TOPIC.decode(value) for topic, value in emitter.written if topic == "receipts" and value]
    assert [code for batch in batches for code in batch.codes] == ["30006", ""]
