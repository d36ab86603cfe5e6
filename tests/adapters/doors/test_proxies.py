"""Whom a request comes from: `X-Forwarded-*` of a proxy that the settings name, and of nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.doors.headers import HSTS
from adapters.doors.names import group_of
from adapters.doors.places import Places
from adapters.doors.proxies import Networks
from tests.adapters.doors.serving import of, refusals, said, served


def get(path: str = "/", host: str = "longwave.example", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n".encode()


@pytest.mark.parametrize(
    ("proxies", "headers", "believed"),
    [
        ((), {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}, b"127.0.0.1 http"),
        (("10.0.0.0/8",), {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}, b"127.0.0.1 http"),
        (("127.0.0.1",), {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}, b"203.0.113.9 https"),
        (("127.0.0.0/8",), {"x_forwarded_for": "203.0.113.9"}, b"203.0.113.9 http"),
        # What the client wrote itself stands before what the proxy added.
        (("127.0.0.1",), {"x_forwarded_for": "8.8.8.8, 203.0.113.9"}, b"203.0.113.9 http"),
        (("127.0.0.1", "10.0.0.0/8"), {"x_forwarded_for": "8.8.8.8, 203.0.113.9, 10.1.1.1"}, b"203.0.113.9 http"),
        (("127.0.0.1",), {"x_forwarded_for": "<script>"}, b"127.0.0.1 http"),
        (("127.0.0.1",), {"x_forwarded_proto": "javascript"}, b"127.0.0.1 http"),
        (("127.0.0.1",), {}, b"127.0.0.1 http"),
    ],
)
async def test_only_a_named_proxy_says_whom_it_asks_for(
    proxies: tuple[str, ...], headers: dict[str, str], believed: bytes
) -> None:
    async with served(of(proxies=proxies)) as port:
        answer = await said(port, get(**headers))
    assert answer.endswith(b"0 " + believed)
    assert (f"strict-transport-security: {HSTS}".encode() in answer) is believed.endswith(b"https")


async def test_this_machines_names_are_not_bound_to_https() -> None:
    """People run other servers there."""
    async with served(of(proxies=("127.0.0.1",))) as port:
        answer = await said(port, get(host="localhost:18080", x_forwarded_proto="https"))
    assert answer.endswith(b"https")
    assert b"strict-transport-security" not in answer


async def test_requests_through_a_proxy_are_counted_by_whom_they_come_from() -> None:
    counted = refusals("requests_per_address")
    async with served(of(proxies=("127.0.0.1",), connections_per_address=2)) as port:

        def ask(address: str) -> Any:
            return said(port, get("/wait", x_forwarded_for=address))

        answers = await asyncio.gather(
            *(ask("203.0.113.9") for _ in range(5)), *(ask("203.0.113.8") for _ in range(2))
        )
        assert sorted(answer.split()[1] for answer in answers[:5]) == [b"200"] * 2 + [b"429"] * 3
        assert [answer.split()[1] for answer in answers[5:]] == [b"200"] * 2
        assert counted() == 3
        again = await asyncio.gather(*(said(port, get("/wait")) for _ in range(5)))
        assert [answer.split()[1] for answer in again] == [b"200"] * 5, "a proxy that says nothing is not bounded"


@pytest.mark.parametrize("proxy", ["proxy", "", "*", "0.0.0.0/0", "::/0", "10.0.0.0/33"])
def test_a_proxy_is_an_address_and_not_everybody(proxy: str) -> None:
    with pytest.raises(ValidationError, match=r"Name the proxies|name a proxy by its address"):
        of(proxies=(proxy,))


def test_what_counts_as_one_address() -> None:
    assert group_of("203.0.113.9") == "203.0.113.9"
    assert group_of("::ffff:203.0.113.9") == "203.0.113.9"
    assert group_of("2001:db8:0:1::1") == group_of("2001:db8:0:1:ffff::2") != group_of("2001:db8:0:2::1")
    assert group_of("") == ""


def test_places_are_given_back() -> None:
    places = Places(3, 2, Networks(("10.0.0.0/8",)))
    assert [places.take("a"), places.take("a"), places.take("a")] == [None, None, "connections_per_address"]
    places.give_back("a")
    assert [places.take("10.0.0.1"), places.take("10.0.0.1"), places.take("b")] == [None, None, "connections"]
    for address in ("10.0.0.1", "10.0.0.1", "a"):
        places.give_back(address)
    assert [places.take("b"), places.take("b"), places.take("b")] == [None, None, "connections_per_address"]
