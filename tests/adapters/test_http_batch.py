"""The HTTP batch client against real sockets: every trouble lands in retry, rejected or unknown, provably."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import inspect
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import client_exceptions
from prometheus_client import REGISTRY

from adapters.aggregators import batch_answer, request, signing
from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import Submission, SubmitOutcome, Trip
from tests.adapters.peer import Peer, always, answer, serving

SECRET = "a-secret-of-the-test"
BATCH = [Submission(f"1a2b3c4d-0-{n}", 12125550100 + n, f"hello {n} é €", "+18885550100") for n in range(3)]


def said(*items: Mapping[str, object]) -> bytes:
    return answer(200, json.dumps({"messages": items}).encode())


ALL_ACCEPTED = said(*({"id": s.id, "status": "accepted", "aggregator_id": f"sm{s.id}"} for s in BATCH))


@contextlib.asynccontextmanager
async def client(url_or_port: str | int, timeout: float = 5.0, connections: int = 4) -> AsyncIterator[HttpBatch]:
    url = url_or_port if isinstance(url_or_port, str) else f"http://127.0.0.1:{url_or_port}/v1/messages"
    made = HttpBatch(
        "test",
        HttpBatchSettings.model_validate(
            {"url": url, "query_url": url, "timeout": timeout, "secret": SECRET, "connections": connections}
        ),
    )
    try:
        yield made
    finally:
        await made.close()


async def submit(url_or_port: str | int, timeout: float = 5.0) -> list[SubmitOutcome]:
    async with client(url_or_port, timeout) as made:
        return await made.submit(BATCH)


def kinds(outcomes: list[SubmitOutcome]) -> list[tuple[str, str]]:
    return [(outcome.outcome, outcome.reason) for outcome in outcomes]


def all_are(outcomes: list[SubmitOutcome], outcome: str, reason: str) -> None:
    assert kinds(outcomes) == [(outcome, reason)] * len(BATCH)


async def test_request_is_what_the_protocol_says_and_is_signed() -> None:
    async with serving(always(ALL_ACCEPTED)) as peer:
        outcomes = await submit(peer.port)
    assert outcomes == [SubmitOutcome("accepted", "", f"sm{s.id}") for s in BATCH]
    headers, body = peer.requests[0]
    assert json.loads(body) == {
        "from": "+18885550100",
        "messages": [{"id": s.id, "to": f"+{s.to}", "text": s.text} for s in BATCH],
    }
    stamp, signature = headers["x-longwave-timestamp"], headers["x-longwave-signature"]
    now = int(stamp) * 1000
    assert signing.check(SECRET.encode(), stamp, signature, body, now) == "ok"
    assert signing.check(SECRET.encode(), stamp, signature, body + b" ", now) == "wrong"
    assert signing.check(b"another", stamp, signature, body, now) == "wrong"
    assert signing.check(SECRET.encode(), stamp, signature, body, now + 301_000) == "old"
    assert signing.check(SECRET.encode(), str(int(stamp) + 1), signature, body, now) == "wrong"
    assert signing.check(SECRET.encode(), stamp, None, body, now) == "missing"
    assert signing.check(SECRET.encode(), "１", signature, body, now) == "wrong"


async def test_each_message_has_its_own_outcome_whatever_the_order_of_the_answer() -> None:
    mixed = said(
        {"id": BATCH[2].id, "status": "throttled", "retry_after": 2.5},
        {"id": BATCH[0].id, "status": "rejected", "code": 30006},
        {"id": BATCH[1].id, "status": "accepted", "aggregator_id": "A", "something": "new"},
    )
    async with serving(always(mixed)) as peer:
        assert await submit(peer.port) == [
            SubmitOutcome("rejected", "landline"),
            SubmitOutcome("accepted", "", "A"),
            SubmitOutcome("retry", "throttled", "", 2.5),
        ]


async def test_what_the_answer_leaves_open_is_unknown() -> None:
    accepted = {"id": BATCH[0].id, "status": "accepted"}
    odd = said(accepted, {"id": BATCH[1].id, "status": "perhaps"}, {"id": "somebody-else", "status": "accepted"})
    async with serving(always(odd)) as peer:
        assert kinds(await submit(peer.port)) == [
            ("accepted", ""),
            ("unknown", "undefined_status"),
            ("unknown", "not_in_answer"),
        ]
    twice = said(accepted, {"id": BATCH[0].id, "status": "throttled"}, accepted)
    async with serving(always(twice)) as peer:
        assert kinds(await submit(peer.port)) == [("unknown", "answered_twice")] + [("unknown", "not_in_answer")] * 2


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no_content"),
        (b"garbage", "bad_answer"),
        (b"[]", "bad_answer"),
        (b"{}", "bad_answer"),
        (b'{"messages": 1}', "bad_answer"),
        (b'{"messages":[{"id":1}]}', "not_in_answer"),
        (b"\xff\xfe", "bad_answer"),
        (b'{"messages":[{', "bad_answer"),
        (b"[" * 100_000, "bad_answer"),
        (b'{"messages":[{"id":"a","status":"accepted","x":' + DEEP + b"}]}", "bad_answer"),
        (b'{"x":' + DEEP + b',"messages":[]}', "bad_answer"),
        (b'{"messages":[' + b"9" * 5000 + b"]}", "not_in_answer"),
    ],
)
async def test_garbled_answer_is_unknown(body: bytes, reason: str) -> None:
    async with serving(always(answer(200, body))) as peer:
        all_are(await submit(peer.port), "unknown", reason)


FIRST, ODD, LAST = (submission.id for submission in BATCH)
GOOD = '{"id": "%s", "status": "accepted", "aggregator_id": "a"}'


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ('{"id": "%s", "status": "rejected", "code": null}', SubmitOutcome("rejected", "refused")),
        ('{"id": "%s", "status": "rejected", "code": []}', SubmitOutcome("rejected", "refused")),
        (
            '{"id": "%s", "status": "rejected", "code": "' + "9" * 500 + '"}',
            SubmitOutcome("rejected", "code:" + "9" * 32),
        ),
        ('{"id": "%s", "status": "REJECTED", "code": 30006}', SubmitOutcome("rejected", "landline")),
        ('{"id": "%s", "status": "rejected", "code": 30006.0}', SubmitOutcome("rejected", "landline")),
        ('{"id": "%s", "status": "rejected", "code": " 30006"}', SubmitOutcome("rejected", "landline")),
        ('{"id": "%s", "status": "rejected", "code": "30006 "}', SubmitOutcome("rejected", "landline")),
        ('{"id": "%s", "status": "rejected", "code": "21610.0"}', SubmitOutcome("rejected", "opted_out_at_carrier")),
        ('{"id": "%s", "status": "rejected", "code": "30006\n"}', SubmitOutcome("rejected", "landline")),
        (
            '{"id": "%s", "status": "rejected", "code": "no\tsuch\x01code"}',
            SubmitOutcome("rejected", "code:no_such_code"),
        ),
        ('{"id": "%s", "status": "rejected", "code": 30006.5}', SubmitOutcome("rejected", "refused")),
        ('{"id": "%s", "status": "accepted", "cost": ' + "9" * 5000 + "}", SubmitOutcome("accepted")),
        ('{"id": "%s", "status": "ACCEPTED", "aggregator_id": null}', SubmitOutcome("accepted")),
        (
            '{"id": "%s", "status": " Accepted ", "aggregator_id": 12345678901}',
            SubmitOutcome("accepted", "", "12345678901"),
        ),
        ('{"id": "%s", "status": "accepted", "aggregator_id": {"x": 1}}', SubmitOutcome("accepted")),
        ('{"id": "%s", "status": "accepted", "aggregator_id": "\\ud83d"}', SubmitOutcome("accepted", "", "?")),
        ('{"id": "%s", "status": "accepted", "cost": NaN}', SubmitOutcome("accepted")),
        ('{"id": "%s", "status": "accepted", "price": {"credits": [1]}}', SubmitOutcome("accepted")),
        ('{"id": "%s", "status": "Throttled", "retry_after": "2.5"}', SubmitOutcome("retry", "throttled", "", 2.5)),
        ('{"id": "%s", "status": "throttled", "retry_after": null}', SubmitOutcome("retry", "throttled")),
        ('{"id": "%s", "status": "throttled", "retry_after": true}', SubmitOutcome("retry", "throttled")),
        ('{"id": "%s", "status": "scheduled"}', SubmitOutcome("unknown", "undefined_status")),
        ('{"id": "%s", "status": 200}', SubmitOutcome("unknown", "bad_answer")),
        ('{"id": "%s", "status": null}', SubmitOutcome("unknown", "bad_answer")),
        ('{"id": "%s"}', SubmitOutcome("unknown", "bad_answer")),
        ('{"id": 17, "status": "accepted"}', SubmitOutcome("unknown", "not_in_answer")),
        ('{"id": null, "status": "accepted"}', SubmitOutcome("unknown", "not_in_answer")),
        ("null", SubmitOutcome("unknown", "not_in_answer")),
        ('["%s", "accepted"]', SubmitOutcome("unknown", "not_in_answer")),
        ('"%s"', SubmitOutcome("unknown", "not_in_answer")),
    ],
)
def test_an_odd_item_is_judged_alone_and_its_neighbors_keep_their_answers(item: str, expected: SubmitOutcome) -> None:
    odd = item.replace("%s", ODD)
    content = f'{{"messages": [{GOOD % FIRST}, {odd}, {GOOD % LAST}]}}'.encode()
    taken = SubmitOutcome("accepted", "", "a")
    for status in (200, 201, 202, 207):
        assert batch_answer.batch_outcomes(status, "", content, BATCH) == [taken, expected, taken]


def test_bytes_that_are_not_utf_8_spoil_only_their_own_text() -> None:
    items = b", ".join((GOOD % item).encode() for item in (FIRST, ODD, LAST)).replace(b'"a"', b'"\xe9"', 1)
    for mark in (b"", b"\xef\xbb\xbf"):
        judged = batch_answer.batch_outcomes(200, "", mark + b'{"messages": [' + items + b"]}", BATCH)
        assert [item.outcome for item in judged] == ["accepted"] * 3
        assert [item.aggregator_id for item in judged] == ["\ufffd", "a", "a"]


@pytest.mark.parametrize("around", ["%s", "\ufeff%s", "%s\0", "%s\0\0\r\n", " \r\n%s", "\ufeff\ufeff%s"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_stands_around_an_answer_does_not_matter(around: str, codec: str) -> None:
    content = (around % f'{{"messages": [{", ".join(GOOD % item for item in (FIRST, ODD, LAST))}]}}').encode(codec)
    assert {item.outcome for item in batch_answer.batch_outcomes(200, "", content, BATCH)} == {"accepted"}


@pytest.mark.parametrize(
    ("code", "alone", "together"),
    [
        ("21610", "opted_out_at_carrier", "http:422"),
        ("30006", "landline", "http:422"),
        ("30006.0", "landline", "http:422"),
        ("30005", "unknown_number", "http:422"),
        ("21211", "unknown_number", "http:422"),
        ("not_a_mobile", "not_a_mobile", "http:422"),
        ("30003", "absent_subscriber", "absent_subscriber"),
        ("bad-sender", "code:bad-sender", "code:bad-sender"),
        ("", "http:422", "http:422"),
    ],
)
def test_a_refusal_of_a_whole_batch_suppresses_nobody(code: str, alone: str, together: str) -> None:
    content = b'{"code": "%s"}' % code.encode()
    assert batch_answer.batch_outcomes(422, "", content, BATCH[:1]) == [SubmitOutcome("rejected", alone)]
    assert batch_answer.batch_outcomes(422, "", content, BATCH) == [SubmitOutcome("rejected", together)] * len(BATCH)
    assert batch_answer.batch_outcomes(422, "", b"\xef\xbb\xbf" + content + b"\0", BATCH[:1])[0].reason == alone


def test_a_query_is_read_item_by_item_too() -> None:
    content = b'{"messages": [{"id": "a", "status": "NOT_SEEN", "code": null}, {"id": "b", "status": "?"}, 5]}'
    assert batch_answer.query_outcomes(content, ["a", "b", "c"]) == [
        SubmitOutcome("retry", "not_seen"),
        SubmitOutcome("unknown", "cannot_tell"),
        SubmitOutcome("unknown", "not_in_answer"),
    ]


@pytest.mark.parametrize(
    ("raw", "outcome", "reason"),
    [
        (answer(400, b'{"code": "bad-sender"}'), "rejected", "code:bad-sender"),
        (answer(422, b"<html>"), "rejected", "http:422"),
        (answer(401, b"{}"), "retry", "http:401"),
        (answer(403, b"<html>"), "retry", "http:403"),
        (answer(404, b"<html>"), "retry", "http:404"),
        (answer(402, b'{"code": "no-credit"}'), "retry", "payment_required"),
        (answer(405), "retry", "http:405"),
        (answer(409), "unknown", "http:409"),
        (answer(410), "retry", "http:410"),
        (answer(413), "retry", "http:413"),
        (answer(201, b""), "unknown", "no_content"),
        (answer(202, b'{"batch": 7}'), "unknown", "bad_answer"),
        (answer(429), "retry", "throttled"),
        (answer(503), "retry", "http:503"),
        (answer(408), "retry", "http:408"),
        (answer(500), "unknown", "http:500"),
        (answer(502), "unknown", "http:502"),
        (answer(504), "unknown", "http:504"),
        (answer(204, b""), "unknown", "http:204"),
        (answer(302, Location="/elsewhere"), "unknown", "http:302"),
        (answer(303, Location="/elsewhere"), "unknown", "http:303"),
        (answer(307, Location="/elsewhere"), "retry", "http:307"),
        (answer(308, Location="/elsewhere"), "retry", "http:308"),
        (answer(400, b'{"code": null}'), "rejected", "http:400"),
        (answer(400, b'["no"]'), "rejected", "http:400"),
        (b"SMTP ready\r\n\r\n", "unknown", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "unknown", "bad_answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz", "unknown", "connection_lost"),
    ],
)
async def test_answers_by_status(raw: bytes, outcome: str, reason: str) -> None:
    async with serving(always(raw)) as peer:
        all_are(await submit(peer.port), outcome, reason)
    assert len(peer.requests) == 1, "nothing is sent again on its own account, redirects are not followed"


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7, 7), ("0.25", 0.25, 0.25), ("soon", 0, 0), ("-5", 0, 0), ("nan", 0, 0), ("1e9", 3600, 3600)],
)
async def test_retry_after(header: str, least: float, most: float) -> None:
    async with serving(always(answer(429, Retry_After=header))) as peer:
        assert all(least <= item.retry_after <= most for item in await submit(peer.port))


@pytest.mark.parametrize(
    ("status", "header", "holds"),
    [(429, "", True), (429, "9", True), (503, "9", True), (503, "", False), (408, "9", False), (402, "9", False)],
)
def test_a_retry_after_holds_the_whole_account(status: int, header: str, holds: bool) -> None:
    assert {outcome.holds for outcome in batch_answer.batch_outcomes(status, header, b"", BATCH)} == {holds}


@pytest.mark.parametrize("header", ["Thu, 99 Nov 2026 10:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -9999", "inf", "٣"])
def test_an_invalid_retry_after_is_bounded(header: str) -> None:
    assert all(0 <= outcome.retry_after <= 3600 for outcome in batch_answer.batch_outcomes(429, header, b"", BATCH))


async def test_retry_after_as_a_date() -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    async with serving(always(answer(503, Retry_After=format_datetime(moment, usegmt=True)))) as peer:
        assert all(27 < item.retry_after <= 31 for item in await submit(peer.port))


async def test_refused_connection_was_not_sent() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        all_are(await submit(unheard.getsockname()[1]), "retry", "connect")


async def test_connect_time_out_was_not_sent() -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # its queue takes two; the SYNs of all others are dropped
        for _ in range(3):
            item = stack.enter_context(socket.socket())
            item.setblocking(False)
            item.connect_ex(full.getsockname())
        await asyncio.sleep(0.05)
        all_are(await submit(full.getsockname()[1], timeout=0.4), "retry", "connect_timeout")


async def test_unknown_host_was_not_sent() -> None:
    all_are(await submit("http://no-such-host.invalid:1/"), "retry", "dns")


async def test_an_invalid_url_was_not_sent() -> None:
    all_are(await submit("http://"), "retry", "bad_url")


async def test_tls_handshake_failure_was_not_sent() -> None:
    async def plain(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"this is not TLS")
        await writer.drain()

    async with serving(plain) as peer:
        all_are(await submit(f"https://127.0.0.1:{peer.port}/"), "retry", "tls")


async def test_tls_handshake_that_never_ends_was_not_sent() -> None:
    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as peer:
        all_are(await submit(f"https://127.0.0.1:{peer.port}/", timeout=0.3), "retry", "connect_timeout")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        raise RuntimeError("this test needs the openssl command")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


async def test_untrusted_certificate_was_not_sent(certificate: tuple[Path, Path]) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    seen = bytearray()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.read(1))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    all_are(await submit(f"https://127.0.0.1:{port}/"), "retry", "tls")
    server.close()
    assert not seen


async def test_no_answer_is_unknown() -> None:
    async def swallow(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await reader.read()

    async with serving(swallow) as peer:
        all_are(await submit(peer.port, timeout=0.3), "unknown", "no_answer")
        assert len(peer.requests) == 1


async def drip(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await peer.request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_answer_that_only_drips_is_unknown_in_bounded_time() -> None:
    async with serving(drip) as peer, asyncio.timeout(3):
        all_are(await submit(peer.port, timeout=0.3), "unknown", "no_answer")


@pytest.mark.parametrize("reset", [False, True])
async def test_connection_closed_after_the_request_is_unknown(reset: bool) -> None:
    async def leave(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        if reset:
            writer.transport.abort()

    async with serving(leave) as peer:
        all_are(await submit(peer.port), "unknown", "connection_lost")
        assert len(peer.requests) == 1, "not sent again"


async def test_connection_closed_in_the_middle_of_the_answer_is_unknown() -> None:
    async def half(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(ALL_ACCEPTED[: len(ALL_ACCEPTED) // 2 + 40])
        await writer.drain()

    async with serving(half) as peer:
        all_are(await submit(peer.port), "unknown", "connection_lost")


async def test_connection_closed_in_the_middle_of_the_request_is_unknown() -> None:
    async def cut(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with serving(cut) as peer:
        all_are(await submit(peer.port), "unknown", "connection_lost")


async def test_refusal_whose_body_is_lost_is_still_a_refusal() -> None:
    async def refuse(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()

    async with serving(refuse) as peer:
        all_are(await submit(peer.port), "rejected", "http:400")


def stand_still(
    monkeypatch: pytest.MonkeyPatch, seconds: float, when: Callable[[request.Body], bool] = lambda body: True
) -> None:
    """Between taking a connection and writing to it the clock jumps, as it does for a process that was stopped."""
    clock = request.time.perf_counter
    write = request.Body.write_with_length

    async def late(self: request.Body, writer: aiohttp.abc.AbstractStreamWriter, n: int | None) -> None:
        if when(self):
            monkeypatch.setattr(request.time, "perf_counter", lambda: clock() + seconds)
        await write(self, writer, n)

    monkeypatch.setattr(request.Body, "write_with_length", late)


async def test_nothing_is_written_later_than_its_time_however_long_the_process_stood_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(always(ALL_ACCEPTED)) as peer, client(peer.port, timeout=5.0) as made:
        stand_still(monkeypatch, 5.1)
        all_are(await made.submit(BATCH), "retry", "not_written_in_time")
        await asyncio.sleep(0.1)
        assert peer.requests == []
        assert made.settled_after > 5.1


async def test_what_may_not_go_any_more_is_kept_at_the_moment_of_writing() -> None:
    asked: list[bool] = []

    def may_go() -> bool:
        asked.append(True)
        return len(asked) > 1

    async with serving(always(ALL_ACCEPTED)) as peer, client(peer.port) as made:
        all_are(await made.submit(BATCH, Trip(may_go)), "retry", "not_written_in_time")
        assert peer.requests == []
        all_are(await made.submit(BATCH, Trip(may_go)), "accepted", "")
        assert len(peer.requests) == 1


async def test_a_query_is_signed_and_answered_for_each_id() -> None:
    mixed = said(
        {"id": "c", "status": "not_seen"},
        {"id": "a", "status": "accepted", "aggregator_id": "A"},
        {"id": "b", "status": "rejected", "code": 30006},
        {"id": "d", "status": "expired from our records"},
        {"id": "f", "status": "accepted"},
        {"id": "f", "status": "not_seen"},
    )
    async with serving(always(mixed)) as peer, client(peer.port) as made:
        assert await made.lookup(["a", "b", "c", "d", "e", "f"]) == [
            SubmitOutcome("accepted", "", "A"),
            SubmitOutcome("rejected", "landline"),
            SubmitOutcome("retry", "not_seen"),
            SubmitOutcome("unknown", "cannot_tell"),
            SubmitOutcome("unknown", "not_in_answer"),
            SubmitOutcome("unknown", "answered_twice"),
        ]
    headers, body = peer.requests[0]
    assert json.loads(body) == {"ids": ["a", "b", "c", "d", "e", "f"]}
    stamp = headers["x-longwave-timestamp"]
    verdict = signing.check(SECRET.encode(), stamp, headers["x-longwave-signature"], body, int(stamp) * 1000)
    assert verdict == "ok"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (answer(500), "http:500"),
        (answer(429), "throttled"),
        (answer(404), "http:404"),
        (answer(400), "http:400"),
        (answer(200, b"garbage"), "bad_answer"),
        (answer(302, Location="/elsewhere"), "http:302"),
    ],
)
async def test_a_query_that_is_not_answered_says_nothing_about_anybody(raw: bytes, why: str) -> None:
    async with serving(always(raw)) as peer, client(peer.port) as made:
        assert await made.lookup(["a"]) == why


async def test_a_query_without_an_aggregator_or_an_answer_returns_the_reason() -> None:
    async with serving(drip) as peer, client(peer.port, timeout=0.3) as made:
        assert await made.lookup(["a"]) == "no_answer"
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with client(unheard.getsockname()[1]) as made:
            assert await made.lookup(["a"]) == "connect"


async def test_without_a_query_url_the_outcome_stays_unknown() -> None:
    made = HttpBatch("test", HttpBatchSettings(query_url=""))
    assert await made.lookup(["a", "b"]) == [SubmitOutcome("unknown", "no_query_url")] * 2
    await made.close()


async def test_kept_connection_that_the_server_closed_costs_nothing() -> None:
    async def once(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(ALL_ACCEPTED)
        await writer.drain()

    async with serving(once) as peer, client(peer.port) as made:
        for _ in range(5):
            assert all(item.outcome == "accepted" for item in await made.submit(BATCH))
            await asyncio.sleep(0.05)  # the end of the connection has been seen
    assert (peer.connections, len(peer.requests)) == (5, 5)


async def test_kept_connection_that_dies_under_the_next_request_is_unknown_and_not_repeated() -> None:
    async def die(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(ALL_ACCEPTED)
        await writer.drain()
        await reader.read(1)  # the second request has begun to arrive
        writer.transport.abort()

    async with serving(die) as peer, client(peer.port) as made:
        all_are(await made.submit(BATCH), "accepted", "")
        all_are(await made.submit(BATCH), "unknown", "connection_lost")
        await asyncio.sleep(0.1)
        assert (peer.connections, len(peer.requests)) == (1, 1)


async def test_connection_found_closing_just_before_the_write_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window between taking a kept connection and writing to it, opened by closing the transport in it."""
    write = request.Body.write_with_length

    async with serving(always(ALL_ACCEPTED)) as peer, client(peer.port) as made:
        all_are(await made.submit(BATCH), "accepted", "")

        async def closing(self: request.Body, writer: aiohttp.abc.AbstractStreamWriter, n: int | None) -> None:
            assert writer.transport is not None
            writer.transport.close()
            await write(self, writer, n)

        monkeypatch.setattr(request.Body, "write_with_length", closing)
        (outcome, _) = kinds(await made.submit(BATCH))[0]
        assert outcome == "retry"
        await asyncio.sleep(0.1)
        assert len(peer.requests) == 1


async def test_waiting_for_a_free_connection_was_not_sent() -> None:
    async with serving(drip) as peer, client(peer.port, timeout=0.3, connections=1) as made:
        first, second = await asyncio.gather(made.submit(BATCH), made.submit(BATCH))
        all_are(first, "unknown", "no_answer")
        all_are(second, "retry", "no_free_connection")
        assert len(peer.requests) == 1
        third, health = await asyncio.gather(made.submit(BATCH), made.check_health())
        all_are(third, "unknown", "no_answer")
        assert health == "no_free_connection"


async def test_it_is_busy_while_every_connection_is_held() -> None:
    async with serving(always(ALL_ACCEPTED)) as peer, client(peer.port, connections=3) as made:
        async with contextlib.AsyncExitStack() as held:
            for _ in range(3):
                assert not made.is_busy
                await held.enter_async_context(made.connection())
            assert made.is_busy
        assert not made.is_busy


async def test_a_connection_that_came_free_too_late_is_named_for_the_wait_not_for_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an aggregator that hangs does to the next request, when the one before it gives up just in time."""

    async def slow(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await asyncio.sleep(0.1)
        writer.write(ALL_ACCEPTED)
        await writer.drain()

    async with serving(slow) as peer, client(peer.port, timeout=5.0, connections=1) as made:
        stand_still(monkeypatch, 5.1, lambda body: body.waited)
        first, second = await asyncio.gather(made.submit(BATCH), made.submit(BATCH))
        all_are(first, "accepted", "")
        all_are(second, "retry", "no_free_connection")
        assert len(peer.requests) == 1


async def test_a_query_whose_connection_is_lost_returns_the_reason() -> None:
    async def die(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.transport.abort()

    async with serving(die) as peer, client(peer.port) as made:
        assert await made.check_health() == "connection_lost"
        assert await made.lookup(["a"]) == "connection_lost"


def test_every_exception_of_the_client_library_lands_in_the_outcome_that_its_moment_proves() -> None:
    """The moment decides, so each must be caught by `_post` and have a label either way."""
    members = [e for _, e in inspect.getmembers(client_exceptions, inspect.isclass)]
    errors = [e for e in members if issubclass(e, Exception) and e.__module__ == client_exceptions.__name__]
    assert len(errors) > 25
    for error in errors:
        if error is not aiohttp.WSMessageTypeError:
            assert issubclass(error, aiohttp.ClientError | OSError | ValueError), error
        made = error.__new__(error)
        assert request._why_unsent(made, request.Body(b""))
        assert request._why_lost(made) in {"no_answer", "bad_answer", "connection_lost"}


async def test_outcomes_are_counted() -> None:
    def count(outcome: str) -> float:
        labels = {"aggregator": "test", "outcome": outcome}
        return REGISTRY.get_sample_value("longwave_aggregator_messages_total", labels) or 0.0

    before = count("accepted"), count("unknown")
    async with serving(always(said({"id": BATCH[0].id, "status": "accepted"}))) as peer:
        await submit(peer.port)
    assert (count("accepted") - before[0], count("unknown") - before[1]) == (1, 2)


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:9")
    async with serving(always(ALL_ACCEPTED)) as peer:
        all_are(await submit(peer.port), "accepted", "")


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("Server-Timing: taken;dur=120.5\r\n", 0.1205, 5.0),
        ('Server-Timing: db;dur=3, taken;dur=50;desc="x"\r\nServer-Timing: taken;dur=900\r\n', 0.05, 0.8),
        ("Server-Timing: total;dur=50\r\n", 0.0, 0.0),
        ("Server-Timing: taken;dur=-5\r\n", 0.0, 0.0),
        ("Server-Timing: taken;dur=1e9\r\n", 0.0, 0.0),
        ("Server-Timing: taken\r\n", 0.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
async def test_how_long_ago_a_batch_arrived_is_what_the_aggregator_says_and_no_more(
    header: str, least: float, most: float
) -> None:
    whole = ALL_ACCEPTED.replace(b"\r\n", b"\r\n" + header.encode(), 1)
    async with serving(always(whole)) as peer, client(peer.port) as made:
        trip = Trip()
        all_are(await made.submit(BATCH, trip), "accepted", "")
    assert trip.written is not None
    assert least <= trip.took <= most
