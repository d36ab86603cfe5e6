"""Whatever API and ingress answer, on a real socket: each answer has the security headers, once; and who is locked
out after wrong keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapters.doors.headers import SAFE_HEADERS
from adapters.health.state import Health
from adapters.settings import Settings
from api.ingress.app import Ingress, Known
from api.web.allowance import GUESSES
from pipeline.identity.api_keys import made
from tests.accounts import book
from tests.adapters.doors.serving import echo, of, said
from tests.adapters.doors.serving import served as server
from tests.api.app import KEY, Fake, served
from tests.api.test_ingress_answers import Emitter, NoCampaigns

AUTHORIZED = f"Authorization: Bearer {KEY}\r\n"


def ask(method: str, path: str, more: str = "", host: str = "127.0.0.1") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


async def _broken(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a defect")


async def _half(scope: Any, receive: Any, send: Any) -> None:
    await echo(scope, receive, send)
    raise RuntimeError("a defect")


API = [
    (ask("GET", "/"), 200),
    (ask("GET", "/nothing"), 404),
    (ask("GET", "/v1/campaigns"), 401),
    (ask("GET", "/v1/campaigns", AUTHORIZED), 200),
    (ask("GET", "/v1/campaigns", AUTHORIZED, host="evil.example"), 403),
    (ask("GET", "/v1/campaigns", f"{AUTHORIZED}X-Forwarded-Host: evil.example\r\n"), 200),
    (ask("GET", "/v1/campaigns", f"{AUTHORIZED}X-Forwarded-Host: 127.0.0.1\r\n", host="evil.example"), 403),
    (ask("DELETE", "/v1/campaigns", AUTHORIZED), 405),
    (ask("POST", "/v1/campaigns", f"{AUTHORIZED}Content-Length: 70000000\r\n"), 413),
    (ask("POST", "/v1/campaigns", f"{AUTHORIZED}Content-Length: 1\r\n") + b"x", 422),
    (ask("GET", "/v1/unreachable", AUTHORIZED), 500),
]
INGRESS = [
    (ask("GET", "/healthz"), 200),
    (ask("GET", "/c/x"), 503),
    (ask("GET", "/o/x"), 404),
    (ask("GET", "/nothing", host="evil.example"), 404),
    (ask("PUT", "/c/x"), 405),
    (ask("POST", "/v1/receipts/local", "Content-Length: 0\r\n"), 401),
    (ask("POST", "/v1/receipts/local", "Content-Length: 5000000\r\n"), 413),
]


def check(answer: bytes, status: int) -> None:
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert first.split()[1] == str(status), answer
    named = Counter(line.partition(":")[0] for line in lines)
    assert {name: named[name.lower()] for name in SAFE_HEADERS} == dict.fromkeys(SAFE_HEADERS, 1), answer


@pytest.mark.parametrize(("sent", "status"), API)
async def test_of_the_api(sent: bytes, status: int) -> None:
    async with server(app=served(Fake())) as port:
        check(await said(port, sent), status)


@pytest.mark.parametrize(("sent", "status"), INGRESS)
async def test_of_the_ingress(sent: bytes, status: int) -> None:
    known = Known(NoCampaigns(), book())  # type: ignore[arg-type]
    async with server(app=Ingress(Settings(), Emitter({}), known, Health("ingress"))) as port:
        check(await said(port, sent), status)


async def test_of_a_defect() -> None:
    async with server(app=_broken) as port:
        check(await said(port, ask("GET", "/")), 500)
    async with server(app=_half) as port:
        check(await said(port, ask("GET", "/")), 200)


@pytest.mark.parametrize("is_named", [True, False])
async def test_wrong_keys_lock_out_whom_a_named_proxy_says_and_nobody_else_can_say_so(is_named: bool) -> None:
    wrong = f"Authorization: Bearer {made(bytes([7]) * 30)}\r\n"

    def come(key: str, address: str) -> bytes:
        return ask("GET", "/v1/campaigns", f"{key}X-Forwarded-For: {address}\r\n")

    proxies = ("127.0.0.1",) if is_named else ()
    async with server(of(proxies=proxies), app=served(Fake())) as port:
        for number in range(GUESSES.amount):
            address = "203.0.113.9" if is_named else f"203.0.113.{number}"
            check(await said(port, come(wrong, address)), 401)
        check(await said(port, come(AUTHORIZED, "203.0.113.9")), 429)
        check(await said(port, come(AUTHORIZED, "198.51.100.1")), 200 if is_named else 429)
