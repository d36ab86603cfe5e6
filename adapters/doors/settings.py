"""Settings of the HTTP servers: where they listen, their certificates, the proxies before them, and their limits."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Listen(BaseModel):
    """An HTTP server of ours: where it listens and, if others must reach it elsewhere, its public address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 is every address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """The port to listen on."""
    public_url: str = ""
    """Where others reach it, for example behind a proxy. "": at `host` and `port`."""

    @property
    def scheme(self) -> str:
        """What it speaks itself."""
        return "http"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"{self.scheme}://{host}:{self.port}").rstrip("/")

    def is_reached_from_outside(self) -> bool:
        """Whether others than this machine are meant to reach it."""
        return self.host not in LOOPBACK or (self.public_url != "" and not is_on_this_machine(self.public_url))


def is_on_this_machine(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(url).hostname in LOOPBACK


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no address or network: name a proxy by its address (10.0.0.7, 10.0.0.0/24)"
        ) from error
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is everybody: whoever comes could claim any address. Name the proxies")
    return text


class PublicListen(Listen):
    """A server that strangers reach."""

    certificate: Path | None = None
    """PEM file: the server's certificate, then those that vouch for it (its chain). With it the server speaks HTTPS
    only; renewed files are taken without a restart. Without: HTTP, for this machine or a proxy with TLS."""
    private_key: Path | None = None
    """PEM file: the certificate's key, without a password."""
    ca: Path | None = None
    """PEM file: the authority that our own commands believe for this server. Without: those of the system."""
    proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    """Addresses or networks of the proxies before it: their `X-Forwarded-For` and `-Proto` are believed, nobody
    else's."""
    connections: Annotated[int, Field(ge=16, le=100_000)]
    """Most connections at a time; a further one is answered 503 and closed."""
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)]
    """Most connections from one address; a further one is answered 429 and closed. Of those who come through a proxy
    of `proxies`: most requests at a time."""

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> PublicListen:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together: set both, or neither")
        return self


class Api(PublicListen):
    """The server of the API and the page."""

    hosts: tuple[str, ...] = ()
    """Further names under which it may be asked; its own address and that of `public_url` may always."""
    connections: Annotated[int, Field(ge=16, le=100_000)] = 1024
    """Most connections at a time; a further one is answered 503 and closed. Live pages may hold half of them."""
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Most connections from one address; a further one is answered 429 and closed. Of those who come through a proxy
    of `proxies`: most requests at a time."""
    streams_per_key: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Most live pages of one key at a time; a further one is answered 429 and tries again by itself."""
    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Requests of one key at most in any second; further ones are answered 429."""
    session_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    """How long a browser stays signed in."""


class Ingress(PublicListen):
    """The server for aggregators and phones."""

    connections: Annotated[int, Field(ge=16, le=100_000)] = 4096
    """Most connections at a time; a further one is answered 503 and closed."""
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 512
    """Most connections from one address (an aggregator; the phones behind one address of a carrier); a further one is
    answered 429 and closed. Of those who come through a proxy of `proxies`: most requests at a time."""
