"""Domains of an account's links: host names, their kinds and limits, and what its lanes have used of them."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import idna
import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.ids import NAME_PATTERN
from schemas.wire import Count, Millis, Record

DomainKind = Literal["short", "opt-out"]
"""What its links are: short links that lead to the campaign's addresses, or links by which a person opts out."""
KINDS: Final[tuple[DomainKind, ...]] = ("short", "opt-out")
MOST_DOMAINS: Final = 200
"""Of an account."""
LONGEST_DOMAIN: Final = 64
"""Characters: with a longer name and the token a link would take most of a segment."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def host_name(text: str) -> str:
    """A host name as browsers send it: lower case, other scripts in their ASCII form (IDNA 2008).

    Raises:
        ValueError: it is none that phones can reach; the text says what is wrong and what to write.
    """
    written = text.strip().rstrip(".")
    if not written or any(character in written for character in "/:@?#*[] \t"):
        raise ValueError(f"{text!r} is no host name: write it without https://, port and path, like go.example.com")
    try:
        name = idna.encode(written, uts46=True).decode("ascii") if not written.isascii() else written.lower()
    except idna.IDNAError as error:
        raise ValueError(f"{text!r} is no host name: {error}") from error
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is no host name: its parts have letters, digits and -, and no - at an end")
    if labels[-1].isdigit():
        raise ValueError(f"{text!r} is an address: write the name that leads to it")
    if len(labels) < 2:
        raise ValueError(f"{text!r} has no domain behind it: write it in full, like go.example.com")
    if len(name) > LONGEST_DOMAIN:
        raise ValueError(f"{text!r} has {len(name)} characters: a link would take most of a message; {LONGEST_DOMAIN}"
                         " at most")  # fmt: skip
    return name


def is_local(name: str) -> bool:
    """Whether a host name leads to the machine that asks for it."""
    return name.rpartition(".")[2] in ("localhost", "localdomain", "local")


HostName = Annotated[str, AfterValidator(host_name)]


class Domain(BaseModel):
    """A domain of an account's links."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: DomainKind = "short"
    """Whether it carries short links, or links by which people opt out."""
    messages: Annotated[int, Field(ge=0, le=1_000_000_000_000)] | None = None
    """Messages that may carry it, over its whole life; without: no limit."""
    active: bool = True
    """Whether new messages may carry it. Links that are on phones already work in any case."""


class LaneUse(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a lane has used of an account's domains, as of its record before the offset `as_of`. `revision`: of the
    limits that it went by there."""

    lane: Count
    as_of: Count
    revision: Count
    used: dict[str, Count]
    """Domain to messages that carried it."""
    starved: list[DomainKind] = msgspec.field(default_factory=list)
    """Kinds of which recipients wait for a domain there."""


class DomainUse(Record, tag="domain-use", kw_only=True):
    """Topic `account-commands`, keyed by account: a lane tells what it has used. A report as of a later offset takes
    the place of an earlier one."""

    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    at: Millis
    use: LaneUse


class Allotment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A lane's part of a domain's limit: `allowed` messages by the newest limits. By limits that it may still go by
    it can use up to `ceiling`."""

    domain: str
    lane: Count
    allowed: Count
    ceiling: Count


class DomainsDocument(Record, tag="domains", kw_only=True):
    """Topic `accounts`, under domains:ACCOUNT: how the limits of an account's domains are divided over its lanes, and
    what they have used. The domains themselves stand in the account's spec."""

    account: str
    revision: Annotated[int, msgspec.Meta(ge=1)]
    """Of what the lanes were told last."""
    lanes: list[Count]
    """Lanes that were told of domains of the account."""
    allotments: list[Allotment]
    """Of the domains with a limit."""
    uses: list[LaneUse]
    """The newest of each lane."""
    crossings: dict[str, Count] = msgspec.field(default_factory=dict)
    """Kind to the number of its last crossing into nearly used up; an even number: it is not nearly used up."""

    def used(self) -> dict[str, int]:
        """Domain to messages that carried it, over all lanes."""
        total: dict[str, int] = {}
        for use in self.uses:
            for domain, messages in use.used.items():
                total[domain] = total.get(domain, 0) + messages
        return total
