"""HTTPS with real handshakes: which certificates are taken, renewed while the server runs, and what is refused."""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from adapters.clock import now_ms
from adapters.doors import tls
from adapters.doors.headers import HSTS
from adapters.doors.tls import DAY_MS, CertificateError, Pair, check
from schemas.metrics import CERTIFICATE_DAYS
from tests.adapters.doors.serving import of, served

NAME = "longwave.example"
CA = trustme.CA()


def written(folder: Path, *, days: int = 90, ca: trustme.CA = CA) -> Pair:
    """A certificate for `NAME` and this machine that ends in so many days, with its key, in files of a folder."""
    now, ends = datetime.now(UTC), timedelta(days=days)
    made = ca.issue_cert(NAME, "127.0.0.1", not_before=now - timedelta(days=1), not_after=now + ends)
    pair = Pair(folder / "chain.pem", folder / "key.pem")
    pair.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    pair.private_key.write_bytes(made.private_key_pem.bytes())
    return pair


def trusting(ca: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def settings(pair: Pair) -> Any:
    return of(certificate=pair.certificate, private_key=pair.private_key)


async def asked(port: int, context: ssl.SSLContext, name: str = NAME) -> tuple[bytes, dict[str, Any], str]:
    """(answer, the server's certificate, TLS version) of a request by HTTPS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    writer.write(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    transport = writer.transport
    shown, version = transport.get_extra_info("peercert"), transport.get_extra_info("ssl_object").version()
    writer.close()
    return answer, shown, version


async def test_requests_come_by_https_and_browsers_are_bound_to_it(tmp_path: Path) -> None:
    async with served(settings(written(tmp_path))) as port:
        answer, shown, version = await asked(port, trusting())
        assert answer.endswith(b"0 127.0.0.1 https")
        assert f"strict-transport-security: {HSTS}".encode() in answer
        assert ("DNS", NAME) in shown["subjectAltName"]
        assert version == "TLSv1.3"
        assert (await asked(port, trusting(), "127.0.0.1"))[0].endswith(b"https"), "a client that names no server"
    assert 89 < days_left() < 91


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True)])
async def test_tls_before_1_2_is_refused(tmp_path: Path, version: str, is_taken: bool) -> None:
    context = trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    async with served(settings(written(tmp_path))) as port:
        if is_taken:
            assert (await asked(port, context))[2] == "TLSv1.2"
        else:
            with pytest.raises(OSError):  # noqa: PT011 - an alert, or a reset
                await asked(port, context)


async def test_who_does_not_trust_the_certificate_is_not_fooled(tmp_path: Path) -> None:
    async with served(settings(written(tmp_path))) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(port, ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(port, trusting(), "other.example")


async def test_plain_http_and_silence_are_no_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.doors.server.HANDSHAKE_SECONDS", 0.3)
    async with served(settings(written(tmp_path))) as port:
        for sent in (b"GET / HTTP/1.1\r\nHost: longwave.example\r\n\r\n", b"", b"\x16\x03\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert b"HTTP" not in await asyncio.wait_for(_rest(reader), 5)
            writer.close()
        assert (await asked(port, trusting()))[0].endswith(b"https"), "others are not disturbed"


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_a_renewed_certificate_is_taken_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "CHECK_SECONDS", 0.05)
    pair = written(tmp_path, days=5)
    async with served(settings(pair)) as port:
        before = (await asked(port, trusting()))[1]["serialNumber"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting(), server_hostname=NAME)
        assert 4.9 < days_left() < 5.1

        new = tmp_path / "new"
        new.mkdir()
        renewed = written(new, days=90)
        os.replace(renewed.certificate, pair.certificate)
        await until(lambda: "from before is shown on" in caplog.text)
        assert (await asked(port, trusting()))[1]["serialNumber"] == before, "its key is not there yet"

        os.replace(renewed.private_key, pair.private_key)
        await until(lambda: days_left() > 89)
        assert (await asked(port, trusting()))[1]["serialNumber"] != before
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.read(), 5), "who was connected stays so"
        writer.close()

        pair.certificate.write_text("nonsense")
        await until(lambda: "holds no certificate" in caplog.text)
        assert (await asked(port, trusting()))[0].endswith(b"https")


def days_left() -> float:
    (metric,) = CERTIFICATE_DAYS.collect()
    return float(next(sample.value for sample in metric.samples if sample.labels == {"server": "api"}))


async def until(holds: Any) -> None:
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within 10 s")


def absent(pair: Pair) -> None:
    pair.certificate.unlink()


def no_key(pair: Pair) -> None:
    pair.private_key.unlink()


def garbage(pair: Pair) -> None:
    pair.certificate.write_bytes(b"\xff\xfe")


def key_of_another(pair: Pair) -> None:
    pair.private_key.write_bytes(CA.issue_cert("x.example").private_key_pem.bytes())


def key_with_a_password(pair: Pair) -> None:
    key = serialization.load_pem_private_key(pair.private_key.read_bytes(), None)
    pair.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


def swapped(pair: Pair) -> None:
    pair.certificate.write_bytes(pair.private_key.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (absent, r"cannot read .*chain\.pem: No such file"),
        (no_key, r"cannot read .*key\.pem: No such file"),
        (garbage, "holds no certificate in PEM"),
        (swapped, "holds no certificate in PEM"),
        (key_of_another, r"key\.pem does not belong to the certificate"),
        (key_with_a_password, "has a password"),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(tmp_path: Path, spoil: Any, says: str) -> None:
    pair = written(tmp_path)
    spoil(pair)
    with pytest.raises(CertificateError, match=says):
        check(pair, now_ms())


def test_it_holds_from_its_first_to_its_last_moment(tmp_path: Path) -> None:
    pair, now = written(tmp_path, days=3), now_ms()
    assert check(pair, now).ends == pytest.approx(now + 3 * DAY_MS, abs=2000)
    with pytest.raises(CertificateError, match=r"ended at 20.*: renew it"):
        check(pair, now + 3 * DAY_MS + 2000)
    with pytest.raises(CertificateError, match=r"holds from .*is the clock right"):
        check(pair, now - DAY_MS - 2000)
