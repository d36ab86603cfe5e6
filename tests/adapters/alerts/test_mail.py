"""E-mails of alerts, to a real mail server on the loopback that takes or refuses them, hangs up or says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from adapters.alerts.mail import NO_SERVER, Mail
from adapters.alerts.outcome import SENT, Outcome
from adapters.alerts.settings import Smtp
from tests.adapters.alerts.mail_server import CA, PASSWORD, USER, Mails, serving


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
def port(mails: Mails) -> Iterator[int]:
    with serving(mails) as port:
        yield port


def mail(port: int, **settings: Any) -> Mail:
    given = {"host": "127.0.0.1", "security": "none", "from_address": "alerts@shop.example", "timeout": 5, **settings}
    return Mail(Smtp(port=port, **given))


async def send(client: Mail, to: str = "ann@shop.example") -> Outcome:
    return await client.send(to, "shop: the balance is low", "It is low.\n\nTop it up – now.\n", "0123abcd")


async def test_a_mail_says_what_it_is_and_has_the_same_id_at_every_attempt(mails: Mails, port: int) -> None:
    client = mail(port)
    assert [await send(client), await send(client)] == [SENT, SENT]
    first, second = mails.messages
    assert (first["From"], first["To"], first["Subject"]) == (
        "Longwave <alerts@shop.example>", "ann@shop.example", "shop: the balance is low",
    )  # fmt: skip
    assert first["Message-ID"] == second["Message-ID"] == "<0123abcd@shop.example>"
    assert (first["Auto-Submitted"], bool(first["Date"])) == ("auto-generated", True)
    assert first.get_content().splitlines() == ["It is low.", "", "Top it up – now."]  # type: ignore[attr-defined]
    assert [(envelope.mail_from, envelope.rcpt_tos) for envelope in mails.taken] == [
        ("alerts@shop.example", ["ann@shop.example"])
    ] * 2


async def test_with_starttls_and_a_password_and_never_without(mails: Mails, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(CA.cert_pem.bytes())
    secure: dict[str, Any] = {"security": "starttls", "user": USER, "password": PASSWORD}
    with serving(mails, tls=True, auth=True) as port:
        assert await send(mail(port, ca=ca, **secure)) == SENT
        assert mails.encrypted == [True]
        stranger = await send(mail(port, **secure))
        wrong = await send(mail(port, ca=ca, **(secure | {"password": "not the password at all"})))
        nobody = await send(mail(port, ca=ca, security="starttls"))
        missing = await send(mail(port, ca=tmp_path / "none.pem", **secure))
    assert [item.what for item in (stranger, wrong, nobody, missing)] == ["again"] * 4, "somebody can mend it"
    assert "certificate" in stranger.problem.lower()
    assert "535" in wrong.problem or "auth" in wrong.problem.lower()
    assert "none.pem" in missing.problem
    with serving(mails) as port:
        plain = await send(mail(port, ca=ca, **secure))
    assert (plain.what, len(mails.taken)) == ("again", 1), "a server without STARTTLS gets no password and no text"


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ({"recipients": ["450 4.2.0 try later"]}, "again"),
        ({"recipients": ["550 5.1.1 no such person"]}, "refused"),
        ({"data": ["451 4.3.0 try later"]}, "again"),
        ({"data": ["554 5.7.1 spam"]}, "refused"),
        ({"data": [""]}, "again"),
    ],
    ids=str,
)
async def test_what_the_server_says_decides(
    mails: Mails, port: int, answers: dict[str, list[str]], what: str
) -> None:
    for name, said in answers.items():
        setattr(mails, name, said)
    client = mail(port)
    outcome = await send(client)
    assert (outcome.what, bool(outcome.problem)) == (what, True)
    assert await send(client) == SENT, "and later it is as if nothing had been"
    assert {message["Message-ID"] for message in mails.messages} == {"<0123abcd@shop.example>"}


@contextlib.asynccontextmanager
async def scripted(*lines: bytes) -> AsyncIterator[int]:
    """A server that says a line for each that it hears, then nothing more."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for line in lines:
                writer.write(line)
                await writer.drain()
                await reader.readuntil(b"\r\n")
            await reader.read()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_says_nothing_or_drips_holds_up_nobody_for_long() -> None:
    began = asyncio.get_running_loop().time()
    async with scripted() as silent:
        outcome = await send(mail(silent, timeout=0.5))
    async with scripted(b"220 here\r\n", b"250 here\r\n", b"250 OK\r\n", b"250 OK\r\n") as stuck:
        later = await send(mail(stuck, timeout=0.5))
    assert [outcome.what, later.what] == ["again", "again"]
    assert "did not answer in time" in outcome.problem
    assert asyncio.get_running_loop().time() - began < 60


async def test_a_server_that_talks_nonsense_or_is_not_there() -> None:
    async with scripted(b"HTTP/1.1 400 Bad Request\r\n") as nonsense:
        assert (await send(mail(nonsense, timeout=2))).what == "again"
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    free = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert (await send(mail(free))).what == "again"


async def test_without_a_server_it_is_said() -> None:
    assert await send(Mail(Smtp())) == Outcome("refused", NO_SERVER)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"from_address": "nobody"}, "no e-mail address"),
        ({"from_address": "A <a@b.example>"}, "without a name"),
        ({"from_address": "a@b.example\nBcc: c@d.example"}, "no e-mail address"),
        ({"user": "x"}, "belong together"),
        ({"host": "mail.example", "security": "none", "user": "x", "password": SecretStr("y")}, "unencrypted"),
        ({"port": 0}, "greater than"),
        ({"unknown": 1}, "Extra"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Smtp(**{"host": "127.0.0.1", **wrong})


async def test_a_check_says_whether_the_server_lets_us_in_and_sends_nothing(mails: Mails, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(CA.cert_pem.bytes())
    secure: dict[str, Any] = {"security": "starttls", "user": USER, "password": PASSWORD, "ca": ca}
    with serving(mails, tls=True, auth=True) as port:
        assert await mail(port, **secure).check() == ""
        assert await mail(port, **(secure | {"password": "not the password at all"})).check() != ""
        assert "certificate" in (await mail(port, **(secure | {"ca": None})).check()).lower()
    assert "onnect" in await mail(port, **secure).check(), "it is away"
    assert mails.taken == []
