"""An account with its senders, and the world around it that a change must fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.timing.quiet_rules import Reading
from schemas.accounts import AccountDocument, AccountSpec, Answers, SenderDocument
from schemas.campaign import TO_BE_SENT, CampaignDocument
from schemas.domains import DomainsDocument

NOBODY: Literal["none"] = "none"


@dataclass(frozen=True, slots=True)
class Holding:
    """What is stored of one account: its document (None: there was none), its senders by name, with those that were
    removed, what became of the last commands, and what has been used of its domains (None: it never had any)."""

    account: AccountDocument | None = None
    senders: Mapping[str, SenderDocument] = field(default_factory=dict)
    answers: Answers | None = None
    domains: DomainsDocument | None = None

    @property
    def exists(self) -> bool:
        """Whether there is the account now."""
        return self.account is not None and not self.account.removed


@dataclass(frozen=True, slots=True)
class WaitingCampaign:
    """A campaign that is launched and not sent, and a sender of it: its id, the sender's name, the lanes in which it
    has that sender, and who of the system holds it."""

    campaign: str
    sender: str
    lanes: tuple[int, ...] = ()
    holders: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What a change must fit, as far as it is known where it is made."""

    lanes: int
    """How many lanes there are."""
    aggregators: Mapping[str, bool]
    """Those that are configured, and whether it is this installation's simulated one."""
    price_lists: Collection[str] | None = None
    """Names of the price lists that were made; None where that is not looked at."""
    number: int = 1
    """That of a new account, which no other has or had; 0: there is none left."""
    waiting: Sequence[WaitingCampaign] = ()
    """The account's campaigns that wait."""
    domain_owners: Mapping[str, str] = field(default_factory=dict)
    """Domain to the account whose it is."""
    is_local: bool = False
    """Whether nobody outside of this machine is meant to reach the ingress."""
    mails: bool = True
    """Whether the installation sends e-mails; True where that is not looked at."""


def quiet_reading(
    spec: AccountSpec, aggregators: Collection[str], simulated: Mapping[str, bool]
) -> Reading | Literal["none"]:
    """The reading of quiet hours that holds for an account whose senders use `aggregators`."""
    return spec.quiet_reading or (NOBODY if reaches_nobody(aggregators, simulated) else "cautious")


def reaches_nobody(aggregators: Collection[str], simulated: Mapping[str, bool]) -> bool:
    """Whether only this installation's simulated aggregator gets the messages."""
    return all(simulated.get(name, False) for name in aggregators)


def waiting_of(account: str, campaigns: Iterable[CampaignDocument]) -> list[WaitingCampaign]:
    """Those of the campaigns that wait on the account, with each of their senders."""
    return [
        WaitingCampaign(
            document.id,
            sender.sender,
            tuple(sender.lanes),
            tuple(hold.by for hold in document.holds if hold.reason),
        )
        for document in campaigns
        if document.account == account and document.status in TO_BE_SENT
        for sender in document.senders
    ]
