"""Settings of the mail server that takes alerts, and of where their webhooks may lead."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from adapters.doors.settings import LOOPBACK


class Smtp(BaseModel):
    """The mail server that takes the e-mails of accounts' alerts. Off by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, Field(max_length=253)] = ""
    """Name or address of the server. "": no e-mails; an account that wants some is refused."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 with `starttls`, 465 with `tls`."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted. `none` is refused with a password, but for a server on this machine."""
    user: str = ""
    """Name to sign in with. "": without signing in."""
    password: SecretStr = SecretStr("")
    """Password of `user`."""
    from_address: Annotated[str, Field(max_length=254)] = "alerts@localhost"
    """The address that the e-mails come from."""
    ca: Path | None = None
    """PEM file: the authority that vouches for the server. Without: those of the system."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 20.0
    """Seconds that one e-mail may take."""

    @property
    def is_on(self) -> bool:
        """Whether there is a server."""
        return self.host != ""

    @model_validator(mode="after")
    def _fits(self) -> Smtp:
        local, at, domain = self.from_address.rpartition("@")
        if (
            not at
            or not local
            or not domain
            or not self.from_address.isascii()
            or not self.from_address.isprintable()
        ):
            raise ValueError(f"from_address: {self.from_address!r} is no e-mail address")
        if any(letter in " <>,;" for letter in self.from_address):
            raise ValueError(f"from_address: {self.from_address!r}: only the address, without a name")
        if bool(self.user) != bool(self.password.get_secret_value()):
            raise ValueError("user and password belong together: set both, or neither")
        if self.user and self.security == "none" and self.host not in LOOPBACK:
            raise ValueError('security = "none" would send the password unencrypted: say "starttls" or "tls"')
        return self


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network, for instance 10.2.0.0/16") from error
    return text


class WebhookSettings(BaseModel):
    """Where the webhooks of accounts may lead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    private_networks: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(max_length=100)] = ()
    """Networks that are not public, and that webhooks may lead to nevertheless. All others that are not public are
    refused: an account's administrator could reach servers behind our firewall. The local stack allows this
    machine."""
