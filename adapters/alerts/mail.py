"""Alerts by e-mail, to the mail server of the settings (aiosmtplib: RFC 5321, STARTTLS, AUTH).

Only the server's 5xx about the recipient or the text is final. Anything else (no connection, a time-out, 4xx, a
certificate or password that is wrong) may be mended, so it is tried again. Where the connection ends after the text
and before the answer, the server may have it: the next attempt has the same Message-ID.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

import aiosmtplib

from adapters.alerts.outcome import SENT, Outcome, again, refused
from adapters.alerts.settings import Smtp
from adapters.clock import now_ms
from adapters.http import CaError, believing

NO_SERVER: Final = "this installation sends no e-mail: set [smtp] in longwave.toml"


class Mail:
    """Sends e-mails, each over a connection of its own."""

    def __init__(self, settings: Smtp) -> None:
        self._settings = settings

    async def send(self, to: str, subject: str, text: str, message_id: str) -> Outcome:
        """Send one e-mail; returns within the settings' time-out."""
        if not self._settings.is_on:
            return refused(NO_SERVER)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._send(to, self._message(to, subject, text, message_id))
        except TimeoutError:
            return again(f"the mail server {self._settings.host} did not answer in time")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _answered(error.recipients[0].code, error.recipients[0].message)
        except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            return _answered(error.code, error.message)
        except aiosmtplib.SMTPNotSupported as error:
            return refused(f"the mail server cannot write to this address: {error}")
        except (aiosmtplib.SMTPException, CaError, OSError, ValueError) as error:
            return again(f"the mail server {self._settings.host}: {error}")
        return SENT

    async def check(self) -> str:
        """Connect to the server and sign in as for an e-mail; "" if it takes that, else why not."""
        try:
            async with asyncio.timeout(self._settings.timeout), self._connected():
                return ""
        except TimeoutError:
            return "it did not answer in time"
        except (aiosmtplib.SMTPException, CaError, OSError, ValueError) as error:
            return str(error)

    def _message(self, to: str, subject: str, text: str, message_id: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = f"Longwave <{self._settings.from_address}>"
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = formatdate(now_ms() / 1000)
        message["Message-ID"] = f"<{message_id}@{self._settings.from_address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(text)
        return message

    async def _send(self, to: str, message: EmailMessage) -> None:
        async with self._connected() as client:
            await client.send_message(message, sender=self._settings.from_address, recipients=[to])

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=believing(settings.ca),
        )
        try:
            await client.connect()
            if settings.user:
                await client.login(settings.user, settings.password.get_secret_value())
            yield client
        finally:
            # No QUIT: the server has answered for the text, and a slow good-bye would look like a failure.
            client.close()


def _answered(code: int, said: str) -> Outcome:
    outcome = refused if 500 <= code < 600 else again
    return outcome(f"the mail server says {code} {said}")
