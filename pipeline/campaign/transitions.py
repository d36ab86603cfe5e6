"""The result of the status machine: the new document, and the effects to carry out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from pydantic import ValidationError

from pipeline.campaign.plan import Terms
from schemas.alerts import Alert
from schemas.campaign import KEPT_OUTCOMES, CampaignDocument, CampaignSpec, Outcome, Status
from schemas.chunk import DropRetryList, Freeze, MakeRetryList
from schemas.chunk import Release as ReservationRelease
from schemas.ledger import Release, Reserve
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusRange


@dataclass(frozen=True, slots=True)
class Unfit:
    """An account or sender for which nothing can be sent now: a campaign that is launched or becomes due fails with
    `reason`. With a `refusal`, which says what to do, a launch is refused instead."""

    reason: str
    refusal: str = ""


TermsOf = Callable[[CampaignSpec], Terms | Unfit | str]
"""The terms of the account and sender that a spec names, or what is wrong with them and what to do."""

ControlState = Literal["running", "paused", "canceled"]


AS_DRAFT: Final[Mapping[str, object]] = MappingProxyType(
    {
        "status": "draft",
        "resume_to": None,
        "launched": 0,
        "launch_revision": 0,
        "begins": 0,
        "recipients": 0,
        "bound": None,
        "is_funded": False,
        "launch_command": "",
        "holds": [],
        "lanes": [],
        "senders": [],
        "wording": None,
    }
)
"""The fields that make a launched campaign a draft again."""


@dataclass(frozen=True, slots=True)
class WriteControl:
    """Write a CONTROL of `revision` to each of `lanes`. A lane ignores a revision that is not newer."""

    campaign: str
    revision: int
    state: ControlState
    lanes: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class StartFreeze:
    """Emit `freeze`. An audience that is already frozen stays as it is."""

    freeze: Freeze


@dataclass(frozen=True, slots=True)
class TendRetryList:
    """Emit `task`: the list of a retry is made, or dropped. Repeating is harmless."""

    task: MakeRetryList | DropRetryList


@dataclass(frozen=True, slots=True)
class StartFanout:
    """Emit the ranges [0, recipients) of each message, with `revision` (of the launch). Repeating is harmless."""

    campaign: str
    revision: int
    messages: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Emit `ranges`: recipients in them that are still pending are canceled."""

    ranges: tuple[StatusRange, ...]


@dataclass(frozen=True, slots=True)
class EmitStatuses:
    """Emit the status chunks `chunks` for the accounting."""

    chunks: tuple[StatusChunk, ...]


@dataclass(frozen=True, slots=True)
class ReleaseReservations:
    """Emit `releases` of smart-sending reservations."""

    releases: tuple[ReservationRelease, ...]


@dataclass(frozen=True, slots=True)
class WriteFinish:
    """Write a FINISH to each of `lanes`: all recipients have a final state, so the lanes forget the campaign."""

    campaign: str
    lanes: tuple[int, ...]
    at: int


@dataclass(frozen=True, slots=True)
class AskReserve:
    """Ask the ledger to reserve the most that a campaign can cost."""

    reserve: Reserve


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Tell the ledger that a campaign needs no reservation (anymore)."""

    release: Release


@dataclass(frozen=True, slots=True)
class RaiseAlert:
    """Tell the account's people. Its id is that of its cause, so that repeating it tells nobody twice."""

    alert: Alert


Effect = (
    WriteControl
    | WriteFinish
    | StartFreeze
    | TendRetryList
    | StartFanout
    | Withdraw
    | EmitStatuses
    | ReleaseReservations
    | AskReserve
    | GiveBack
    | RaiseAlert
)
"""Effects, carried out in order. Each may be repeated: after a crash the step gets its record again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """`document`: what holds now (None: there is no such campaign), to be written where `changed`, as a tombstone
    where `delete`. `error`: why a command was refused ("" if it was not); also kept in the document, if there is
    one."""

    document: CampaignDocument | None
    changed: bool = False
    delete: bool = False
    effects: tuple[Effect, ...] = ()
    error: str = ""


def successor(document: CampaignDocument, now: int, **changes: object) -> CampaignDocument:
    """The next revision of a document."""
    return msgspec.structs.replace(document, revision=document.revision + 1, updated=now, **changes)


def with_outcome(
    document: CampaignDocument, command: str, error: str = "", *, is_stale: bool = False
) -> list[Outcome]:
    """The document's command outcomes with one more; the oldest are dropped."""
    return [*document.outcomes, Outcome(command=command, error=error, is_stale=is_stale)][-KEPT_OUTCOMES:]


def failed(document: CampaignDocument, reason: str, now: int, **changes: object) -> Transition:
    """The campaign is over before anything of it was sent."""
    return Transition(
        successor(document, now, status="failed", reason=reason, resume_to=None, holds=[], **changes), changed=True
    )


def unfit(document: CampaignDocument, terms_of: TermsOf) -> Unfit | None:
    """Why nothing can be sent for the campaign's account and sender now; None if it can."""
    try:
        terms = terms_of(document.parsed())
    except ValidationError:
        return None
    return terms if isinstance(terms, Unfit) else None


def give_back(document: CampaignDocument, at: int) -> tuple[GiveBack, ...]:
    """The effect that takes back what a campaign asked of the ledger; none where it has not, or was given it: what it
    did not spend is found out by the settlement then."""
    if document.bound is None or document.is_funded or not document.launch_revision:
        return ()
    release = Release(account=document.account, campaign=document.id, revision=document.launch_revision, at=at)
    return (GiveBack(release),)


def control(document: CampaignDocument, at: int) -> WriteControl:
    """The CONTROL effect for the document's status."""
    return WriteControl(document.id, document.revision, _control_state(document.status), tuple(document.lanes), at)


def finish(document: CampaignDocument) -> WriteFinish:
    """The effect that ends a finished campaign in its lanes."""
    return WriteFinish(document.id, tuple(document.lanes), document.finished)


def _control_state(status: Status) -> ControlState:
    """The control state of a status. Lanes of a suspended campaign run, so that they can probe the aggregator."""
    if status in ("paused", "canceled"):
        return status
    return "running"


def fanout(document: CampaignDocument) -> StartFanout:
    """The fan-out of a document whose audience is frozen."""
    return StartFanout(
        campaign=document.id,
        revision=document.launch_revision,
        messages=len(document.parsed().messages),
        recipients=document.recipients,
    )


def withdraw(document: CampaignDocument, at: int) -> tuple[Withdraw, ...]:
    """The effect that withdraws the whole audience; none if it is not frozen."""
    if not document.recipients:
        return ()
    ranges = tuple(
        StatusRange(
            campaign=document.id,
            message=index,
            at=at,
            first=0,
            last=document.recipients,
            reason=Reason.CAMPAIGN_CANCELED,
        )
        for index in range(len(document.parsed().messages))
    )
    return (Withdraw(ranges),)
