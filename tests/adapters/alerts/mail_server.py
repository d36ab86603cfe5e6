"""A real SMTP server on the loopback (aiosmtpd) that takes mail, refuses it, or misbehaves as a test says."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.stack import free_ports

CA = trustme.CA()
USER, PASSWORD = "longwave", "a-password-that-is-long"


@dataclass
class Mails:
    """What arrived, and what the server says to it: `answers` one by one, then 250."""

    taken: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    """Answers to RCPT."""
    data: list[str] = field(default_factory=list)
    """Answers to the text; "" hangs up without one, after it was taken."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipients.pop(0) if self.recipients else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.data.pop(0) if self.data else "250 OK"
        if answer.startswith("250") or not answer:
            self.taken.append(envelope)
            self.encrypted.append(session.ssl is not None)
        if not answer:
            assert server.transport is not None
            server.transport.abort()
        return answer or "250 OK"

    @property
    def messages(self) -> list[Message]:
        return [message_from_bytes(mail.content or b"", policy=default) for mail in self.taken]  # type: ignore[arg-type]


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@contextlib.contextmanager
def serving(mails: Mails, *, tls: bool = False, auth: bool = False, port: int = 0) -> Iterator[int]:
    """Serve in a thread; the port."""
    options: dict[str, Any] = {}
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        CA.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        options |= {"tls_context": context, "require_starttls": True}
    if auth:
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": tls}
    where = port or free_ports(1)[0]
    controller = Controller(mails, hostname="127.0.0.1", port=where, **options)
    controller.start()
    try:
        yield where
    finally:
        controller.stop()
