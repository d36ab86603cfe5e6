"""The part of `longwave doctor` about who may reach what: addresses, certificates, secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from adapters.clock import now_ms
from adapters.doors.settings import LOOPBACK, PublicListen
from adapters.settings import Settings, is_weak
from cli.stack.findings import Finding
from schemas.times import to_minute

SOON_DAYS: Final = 14
"""A certificate that ends sooner should have been renewed."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Each door, as the settings say."""
    yield _address("api", settings.api)
    yield _address("ingress", settings.ingress)
    for name, server in (("api", settings.api), ("ingress", settings.ingress)):
        yield from _certificate(name, server)
    yield _metrics(settings)
    yield _secrets(settings)


def _address(name: str, server: PublicListen) -> Finding:
    """What travels to these servers is secret: keys, sessions, tokens of links. Beyond this machine only by HTTPS."""
    what = f"{name} address"
    if not server.is_reached_from_outside():
        return Finding(what, True, server.url)
    if not server.url.startswith("https:"):
        fix = (
            f"set {name}.certificate and {name}.private_key; or put a proxy with TLS before it, listen on 127.0.0.1, "
            f"name the proxy in {name}.proxies, and set {name}.public_url to its https:// address"
        )
        return Finding(what, False, f"{server.url}, reached from outside without TLS", fix)
    if server.certificate is None and server.host not in LOOPBACK and not server.proxies:
        fix = f"listen on 127.0.0.1, or name the proxy before it in {name}.proxies"
        return Finding(
            what, False, f"{server.url} is HTTPS, but {server.host}:{server.port} takes HTTP of anybody", fix
        )
    return Finding(what, True, server.url)


def _certificate(name: str, server: PublicListen) -> Iterator[Finding]:
    from adapters.doors import tls  # cryptography: only where there is a certificate to look at

    if server.certificate is None or server.private_key is None:
        return
    what, now = f"{name} certificate", now_ms()
    renew = f"renew {server.certificate}; {name} takes the new files by itself"
    try:
        ends = tls.check(tls.Pair(server.certificate, server.private_key), now).ends
    except tls.CertificateError as error:
        yield Finding(what, False, str(error), renew)
        return
    days = (ends - now) / tls.DAY_MS
    is_fresh = days >= SOON_DAYS
    yield Finding(what, is_fresh, f"ends in {days:.0f} days, at {to_minute(ends)}", renew * (not is_fresh))


def _metrics(settings: Settings) -> Finding:
    """They need no key, so nobody beyond a private network is to reach them: which network it is, nobody can tell."""
    where = f"{settings.metrics_host}, port {settings.metrics_port} and those near it"
    if settings.metrics_host in LOOPBACK:
        return Finding("metrics address", True, where)
    return Finding(
        "metrics address", True, f"{where}: make sure that only your monitoring reaches it, there is no key"
    )


def _secrets(settings: Settings) -> Finding:
    """Processes refuse weak secrets where an aggregator or the ingress is beyond this machine; sessions of the page
    are signed with one too."""
    if settings.api.is_reached_from_outside() and is_weak(settings.token_key.get_secret_value()):
        detail = f"token_key is the published one or too short, though the API is reached at {settings.api.url}"
        return Finding("secrets", False, detail, "make one with `openssl rand -hex 32`, and set token_key")
    return Finding("secrets", True, "fit for where the servers are reached")
