"""The certificate of a server: checked when it is read, and taken anew when its files change.

Who renews certificates (certbot, cert-manager, a Kubernetes secret) only replaces files. Each handshake gets the
newest pair that was in order; connections that are open keep theirs.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from cryptography import x509

from adapters.clock import now_ms
from adapters.errors import LongwaveError
from schemas.metrics import CERTIFICATE_DAYS
from schemas.times import iso

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 10.0
"""Between two looks at the files."""
DAY_MS: Final = 86_400_000


class CertificateError(LongwaveError):
    """A certificate cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    private_key: Path

    def state(self) -> tuple[object, ...]:
        """What changes when a file is replaced, also behind a symbolic link; of a file that is away, that it is."""
        return tuple(_state(path) for path in (self.certificate, self.private_key))


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that is in order. `ends` in ms."""

    context: ssl.SSLContext
    ends: int


def check(pair: Pair, now: int) -> Checked:
    """The certificate in the files, in order at `now` (ms).

    Raises:
        CertificateError: a file cannot be read or is none, the key is another certificate's, or it is not valid now.
    """
    begins, ends = _validity(pair.certificate)
    if ends <= now:
        raise CertificateError(f"the certificate {pair.certificate} ended at {iso(ends)}: renew it")
    if begins > now:
        raise CertificateError(f"the certificate {pair.certificate} holds from {iso(begins)} on: is the clock right?")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A key with a password would else be asked for on the terminal.
        context.load_cert_chain(pair.certificate, pair.private_key, password="")
    except ssl.SSLError as error:
        raise CertificateError(
            f"the key {pair.private_key} does not belong to the certificate {pair.certificate}, has a password, or "
            f"is no key ({error.reason or 'no PEM'})"
        ) from error
    except OSError as error:
        raise CertificateError(_unreadable(pair.private_key, error)) from error
    return Checked(context, ends)


class ServedCertificate:
    """The certificate that a server shows now. `server` is its name in metrics and logs."""

    def __init__(self, server: str, pair: Pair) -> None:
        """
        Raises:
            CertificateError: it cannot be used.
        """
        self._server = server
        self._pair = pair
        self._state = pair.state()
        self._newest = check(pair, now_ms())
        self.context = check(pair, now_ms()).context
        """What a server is started with; it hands each handshake to the newest certificate."""
        self.context.sni_callback = self._choose
        CERTIFICATE_DAYS.labels(server).set_function(self.days_left)

    def days_left(self) -> float:
        """Days until it ends."""
        return (self._newest.ends - now_ms()) / DAY_MS

    async def follow(self) -> NoReturn:
        """Take renewed files for as long as this task runs."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.take_renewed()

    def take_renewed(self) -> None:
        """Take the files if they have changed and are in order; else the one before goes on."""
        state = self._pair.state()
        if state == self._state:
            return
        # Certificate and key are replaced one after the other: in between they do not fit, and the next look sees
        # another state.
        self._state = state
        try:
            self._newest = check(self._pair, now_ms())
        except CertificateError as error:
            log.error("%s: the certificate from before is shown on: %s", self._server, error)
            return
        log.info("%s: took the renewed certificate, which ends at %s", self._server, iso(self._newest.ends))

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # OpenSSL asks for every handshake, also of a client that names no server.
        handshake.context = self._newest.context


def _validity(path: Path) -> tuple[int, int]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(_unreadable(path, error)) from error
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM") from error
    own = certificates[0]
    return _ms(own.not_valid_before_utc), _ms(own.not_valid_after_utc)


def _ms(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read {path}: {error.strerror or error}; the user of this process needs to read it"


def _state(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
