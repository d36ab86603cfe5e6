"""POSTs of alerts, to a real server on the loopback: slow, broken, redirecting, endless; and where none may lead."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters.alerts import addresses
from adapters.alerts.addresses import Allowed, PrivateAddress
from adapters.alerts.outcome import SENT
from adapters.alerts.webhooks import Webhooks
from adapters.clock import now_ms
from pipeline.alerts.signing import secret_of, signed
from tests.adapters.peer import Peer, always, answer, serving

HERE = Allowed([], this_machine=True)
PUBLIC = Allowed([], this_machine=False)


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    client = Webhooks(HERE, seconds=1.0)
    yield client
    await client.close()


async def test_who_gets_it_can_tell_that_it_is_ours_and_recent(webhooks: Webhooks) -> None:
    secret, body = secret_of(b"k" * 32, "shop", 1), b'{"type":"account.alerts"}'
    async with serving(always(answer(204, b""))) as peer:
        headers = signed(secret, "0123abcd", now_ms(), body)
        assert await webhooks.post(f"http://127.0.0.1:{peer.port}/hook?a=1", body, headers) == SENT
    [(got, content)] = peer.requests
    assert got["content-type"] == "application/json"
    assert Webhook(secret).verify(content.decode(), got) == {"type": "account.alerts"}
    for other in (secret_of(b"k" * 32, "shop", 2), secret_of(b"k" * 32, "other", 1), secret_of(b"x" * 32, "shop", 1)):
        with pytest.raises(WebhookVerificationError):
            Webhook(other).verify(content.decode(), got)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(content.decode() + " ", got)


@pytest.mark.parametrize(
    ("status", "what"),
    [(200, "sent"), (299, "sent"), (302, "again"), (404, "again"), (410, "refused"), (429, "again"), (500, "again")],
)
async def test_the_status_decides(webhooks: Webhooks, status: int, what: str) -> None:
    async with serving(always(answer(status))) as peer:
        assert (await webhooks.post(f"http://127.0.0.1:{peer.port}/", b"{}", {})).what == what


async def test_a_redirect_is_never_followed(webhooks: Webhooks) -> None:
    async with serving(always(answer(200))) as inside:
        for status in (301, 302, 303, 307, 308):
            for target in (f"http://127.0.0.1:{inside.port}/", "http://169.254.169.254/latest/meta-data/"):
                async with serving(always(answer(status, Location=target))) as peer:
                    outcome = await webhooks.post(f"http://127.0.0.1:{peer.port}/", b"{}", {})
                assert outcome.what == "again"
                assert "redirect" in outcome.problem
                assert len(peer.requests) == 1
    assert inside.connections == 0


async def test_slow_endless_and_broken_answers_end_in_time(webhooks: Webhooks) -> None:
    async def silent(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await reader.read()

    async def dripping(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.05)

    written = 0

    async def endless(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            written += 0x10000

    async def long_headers(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def gone(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)

    began = asyncio.get_running_loop().time()
    for handler, what in (
        (silent, "again"), (dripping, "again"), (endless, "sent"), (long_headers, "again"), (gone, "again"),
        (always(b"nonsense\r\n\r\n"), "again"),
    ):  # fmt: skip
        async with serving(handler) as peer:
            assert (await webhooks.post(f"http://127.0.0.1:{peer.port}/", b"{}", {})).what == what
    assert asyncio.get_running_loop().time() - began < 60
    assert written < 50_000_000, "the rest of an answer is nobody's business"


NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%lo",
    "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(PrivateAddress):
        PUBLIC.check(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    PUBLIC.check(address)


def test_what_an_operator_allows() -> None:
    own = Allowed(["10.2.0.0/16"], this_machine=False)
    own.check("10.2.3.4")
    own.check("::ffff:10.2.3.4")
    for address in ("10.3.0.1", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(PrivateAddress):
            own.check(address)
    with pytest.raises(PrivateAddress):
        HERE.check("10.0.0.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "127.1", "2130706433", "0x7f.0.0.1"]
)
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    client = Webhooks(PUBLIC, seconds=2.0)
    try:
        async with serving(always(answer(200))) as peer:
            outcome = await client.post(f"http://{host}:{peer.port}/", b"{}", {})
            assert outcome.what in ("refused", "again")
            assert peer.connections == 0
    finally:
        await client.close()


async def test_a_name_that_changes_its_mind_is_checked_where_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answers = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]]

    class Rebinding:
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
            asked.append(host)
            found = answers[min(len(asked), len(answers)) - 1]
            return [
                {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
                for address in found
            ]

        async def close(self) -> None:
            return None

    monkeypatch.setattr(addresses, "ThreadedResolver", Rebinding)
    client = Webhooks(PUBLIC, seconds=2.0)
    try:
        async with serving(always(answer(200))) as peer:
            for _ in range(2):
                outcome = await client.post(f"http://rebind.example:{peer.port}/", b"{}", {})
                assert outcome.what == "refused"
                assert "not a public address" in outcome.problem
            assert peer.connections == 0
    finally:
        await client.close()
    assert asked == ["rebind.example"] * 2, "asked each time, once"
