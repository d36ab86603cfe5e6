"""The campaign: what a person writes (`DraftSpec`, complete: `CampaignSpec`), the document of it, and the commands
that change it."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    UrlConstraints,
    field_validator,
    model_validator,
)

from schemas.chunk import MessageIndex
from schemas.ids import Name
from schemas.ledger import AccountName, Bound, ChargeState, Credit
from schemas.wire import CAMPAIGN_PATTERN, Campaign, Codec, Count, Millis, Number, Ordinal, Record, same_length

Status = Literal[
    "draft", "scheduled", "processing", "sending", "sent", "finished", "paused", "suspended", "canceled", "failed"
]
"""`paused` is held by a person, `suspended` by the system (the document's `holds` say by whom and why)."""
IN_LANES: Final[frozenset[Status]] = frozenset({"sending", "paused", "suspended"})
"""Recipients may wait in lanes."""
TO_BE_SENT: Final[frozenset[Status]] = frozenset({"scheduled", "processing", *IN_LANES})
"""Launched, with something left to submit: these need their account and sender."""
SENT_OUT: Final[frozenset[Status]] = frozenset({"sent", "finished"})
"""Nothing is left to submit."""
OVER: Final[frozenset[Status]] = frozenset({"finished", "canceled", "failed"})
"""Nothing but a late receipt changes the campaign anymore."""
CHANGING: Final[frozenset[Status]] = frozenset({"processing", *IN_LANES, "sent"})
"""Figures change from one second to the next."""
UnknownPolicy = Literal["skip", "resend", "resend-with-key", "query"]
"""What happens to messages whose submission was under way when a process died (rule L4 in docs/internals/lane.md)."""


FIRST_YEAR, LAST_YEAR = 2000, 2099
"""Years allowed in a campaign's times; outside them, arithmetic with time zones overflows."""


def _allowed_year(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"the year {at.year} is not in {FIRST_YEAR} to {LAST_YEAR}")
    return at


def _one_line(text: str) -> str:
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("has control characters (such as ESC or a line end): take them out")
    return text


def _printable(text: str) -> str:
    _one_line(text.replace("\n", "").replace("\r", "").replace("\t", ""))
    return text


Moment = Annotated[datetime, AfterValidator(_allowed_year)]
Line = Annotated[str, AfterValidator(_one_line)]
"""One line of text without control characters."""
Link = Annotated[HttpUrl, UrlConstraints(max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


PoolRule = Literal["recipient", "country", "turn"]
"""Which of a campaign's senders a recipient gets the message from (`pipeline.eligibility.pool`)."""
MOST_SENDERS: Final = 100
LOCAL_SEND_AT: Final = (
    "a send_at without an offset, as in 2026-12-01T10:00:00: it is the time on each recipient's own clock"
)


class DraftMessage(_Strict):
    """One message of a draft; its text may still be missing."""

    text: Annotated[str, Field(max_length=1600), AfterValidator(_printable)] = ""
    links: Annotated[dict[Name, Link], Field(max_length=20)] = {}
    """Where `{link:NAME}` leads; `{link}` is the one named `default`."""


class MessageSpec(DraftMessage):
    """One message of a campaign. `text` may hold `{field}`, `{field|default}`, `{link}`, `{link:NAME}`."""

    text: Annotated[str, Field(min_length=1, max_length=1600), AfterValidator(_printable)]


class DraftAudience(_Strict):
    """The recipients of a draft: every contact of the lists and the typed numbers, each number once; none so far
    where both are empty."""

    lists: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    numbers: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=100_000)] = ()


class AudienceSpec(DraftAudience):
    """The recipients of a campaign: there are lists or numbers."""

    @model_validator(mode="after")
    def _has_recipients(self) -> AudienceSpec:
        if not self.lists and not self.numbers:
            raise ValueError("has no recipients: set lists = [...] or numbers = [...]")
        return self


class DraftSpec(_Strict):
    """What a person writes: a TOML file, the REST API's body, or the page's form. Audience, messages, texts and the
    time of `local_time` may be missing (`pipeline.campaign.completeness` names what is); what is there is checked."""

    key: Name | None = None
    """Names the campaign within its account, for files under version control (`longwave campaign apply`): its id
    follows from both, so they are the campaign's for life."""
    name: Annotated[Line, Field(min_length=1, max_length=200)]
    tags: Annotated[tuple[Annotated[Line, Field(min_length=1, max_length=100)], ...], Field(max_length=50)] = ()
    account: Name = "demo"
    sender: Name = "main"
    pool: Annotated[tuple[Name, ...], Field(max_length=MOST_SENDERS - 1)] = ()
    """Further senders of the account, which share the recipients with `sender` by their limits."""
    pool_by: PoolRule = "recipient"
    """How: each recipient always from the same one, from one of the recipient's country where there is one, or by
    turns."""
    audience: DraftAudience = DraftAudience()
    messages: Annotated[tuple[DraftMessage, ...], Field(max_length=16)] = ()
    send_at: Moment | None = None
    """When to send; without an offset it is local time in the store's zone. None: as soon as launched."""
    local_time: bool = False
    """`send_at` is the time on each recipient's own clock; it has no offset then."""
    if_passed: Literal["next_day", "at_once", "skip"] = "next_day"
    """With `local_time`: what happens if the local time has passed at the launch."""
    deadline: Moment | None = None
    """Nothing is sent from this instant on."""
    smart_sending_hours: Annotated[int, Field(ge=0, le=168)] = 8
    unknown: UnknownPolicy = "skip"
    transactional: bool = False
    priority: Literal["urgent", "normal", "bulk"] = "normal"
    weight: Annotated[int, Field(ge=1, le=100)] = 1
    """Share of a lane among campaigns of the same priority."""
    opt_out_language: Annotated[Line, Field(max_length=200)] = ""
    """Text appended to each message, for instance "Reply STOP to opt out"."""
    replace_characters: bool | None = None
    """Whether characters that force UCS-2 are replaced; without, as the account says (`characters.replace`)."""

    @model_validator(mode="after")
    def _local_time_has_no_offset(self) -> Self:
        if self.local_time and self.send_at is not None and self.send_at.tzinfo is not None:
            raise ValueError(f"local_time = true needs {LOCAL_SEND_AT}")
        return self

    @model_validator(mode="after")
    def _senders_are_distinct(self) -> Self:
        if len(set(self.senders)) != len(self.senders):
            raise ValueError("pool: names a sender twice, or the one that `sender` names")
        return self

    @property
    def senders(self) -> tuple[Name, ...]:
        """All that it is sent from."""
        return (self.sender, *self.pool)

    @field_validator("messages")
    @classmethod
    def _one_message_for_now(cls, messages: tuple[DraftMessage, ...]) -> tuple[DraftMessage, ...]:
        if len(messages) > 1:
            raise ValueError("several messages in one campaign are not supported yet: give one")
        return messages


class DraftFile(DraftSpec):
    """A file under version control: a draft, and which campaign it is: by its `key`, or the `id` of one."""

    id: Annotated[str, Field(pattern=CAMPAIGN_PATTERN)] | None = None

    def spec(self) -> DraftSpec:
        """What it says of the campaign."""
        return DraftSpec.model_validate(self.model_dump(exclude={"id"}))


class CampaignSpec(DraftSpec):
    """A complete draft: all that a launch needs. Everything after the launch sees only these."""

    audience: AudienceSpec
    messages: Annotated[tuple[MessageSpec, ...], Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _local_time_has_a_time(self) -> Self:
        if self.local_time and self.send_at is None:
            raise ValueError(f"local_time = true needs {LOCAL_SEND_AT}")
        return self


class UnreadableSpec(ValueError):
    """A spec that would not be the same when it is read back; the text says where."""


def stored(spec: DraftSpec) -> dict[str, Any]:
    """The JSON form of a spec for a document or a command. Whoever writes one calls this: what cannot be read back
    can neither be shown nor sent.

    Raises:
        UnreadableSpec: it would not be read back as it is.
    """
    try:
        form: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(spec.model_dump(mode="json")))
        if type(spec).model_validate(form) == spec:
            return form
    except ValueError as error:
        raise UnreadableSpec(f"the campaign cannot be stored: {error}") from error
    raise UnreadableSpec("the campaign cannot be stored: it would be different when read back")


class Outcome(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The outcome of a command; `error` is "" if it was carried out."""

    command: str
    error: str = ""
    is_stale: bool = False
    """Refused because the definition was changed after its author saw it."""


KEPT_OUTCOMES = 8
"""Number of command outcomes that a document keeps."""


Verdict = Literal["sent", "not-sent"]
"""An operator's decision about an unknown message."""


class Resolution(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An operator's verdict on the unknown recipients of one message, in columns."""

    verdict: Verdict
    message: MessageIndex
    ordinals: list[Ordinal]
    numbers: list[Number]
    segments: list[Count]
    prices: list[Count]

    def __post_init__(self) -> None:
        same_length(len(self.ordinals), numbers=self.numbers, segments=self.segments, prices=self.prices)


class Resolved(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The record of a resolve: who decided what about how many unknown messages, and when."""

    command: str
    by: str
    at: Millis
    verdict: Verdict
    recipients: Count


class Hold(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The last `Suspension` from `by`; `reason` is "" if it no longer holds the campaign."""

    by: str
    reason: str
    at: Millis


class Suspended(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The last time that a campaign became suspended. Held anew while it is, it is the same time."""

    alert: str
    """The id of the alert that said so (`schemas.alerts`)."""
    cause: str
    """Names the record that led to it, so that one that comes again says it again."""
    at: Millis
    over: bool = False
    """Whether it has gone on since."""


SiteNameRule = Literal["add", "check", "off"]
"""add: the account's site name goes in front of each text that does not begin with it; check: the review warns of a
text that does not have it; off: neither."""


class Wording(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What an account makes of its campaigns' texts. That at the launch is the campaign's for life, so that each text
    is sent as it was reviewed and counted."""

    site_name: str
    """"" where it has none."""
    site_name_rule: SiteNameRule = "add"
    replaces_characters: bool = True
    """Whether characters that force UCS-2 are replaced, unless the campaign says otherwise."""


class LaunchedSender(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A sender of a campaign as of its launch: what follows from it is the campaign's for life, so that a recipient
    keeps sender and lane whatever changes."""

    sender: str
    country: str
    """"" where it has none."""
    lanes: list[Count]
    rate: Annotated[float, msgspec.Meta(gt=0)]
    """Segments per second."""


class Retry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a campaign tries again: recipients of `of` by their state and reason (`schemas.selection`)."""

    of: Campaign
    first: Campaign
    """Where the chain of retries begins: `of`, or what that is a retry of."""
    states: list[str]
    reasons: list[str]
    left_out: list[str]
    recipients: Count | None = None
    """On its list (`schemas.ids.retry_list`); None until that is made."""


class CampaignDocument(Record, tag="campaign", kw_only=True):
    """Topic `campaigns`, keyed by id, compacted: the whole truth about a campaign's definition and status.

    `spec` is a `DraftSpec` in JSON form, a complete one from the launch on. `revision` grows by one each time.
    `recipients` is N, 0 until the audience is frozen; `lanes` and `senders` are fixed at the launch, for life.
    """

    id: Campaign
    spec: dict[str, Any]
    status: Status
    reason: str = ""
    revision: Annotated[int, msgspec.Meta(ge=1)]
    edited: Count = 1
    """Revision that wrote `spec`: whoever saw this one, or a later one, knows what an edit would replace."""
    created: Millis
    create_command: str = ""
    """The id of the command that created it: a request that comes again is answered by it, however late."""
    updated: Millis
    launched: Millis = 0
    launch_revision: Count = 0
    """Revision of the document that the launch wrote; `Freeze`, `Frozen` and all chunks carry it. 0: not launched."""
    begins: Millis = 0
    """When processing of a scheduled campaign begins (ms): some time before the first recipient is due."""
    finished: Millis = 0
    recipients: Count = 0
    bound: Bound | None = None
    """The most that it can cost, as of when its audience was frozen; None: it is paid by invoice, so nobody has to
    know."""
    is_funded: bool = False
    """Whether what it can cost is reserved; until then nothing of a campaign with a `bound` is fanned out."""
    launch_command: str = ""
    """The id of the command that launched it; "" where it is no longer waited for."""
    lanes: list[Count] = msgspec.field(default_factory=list)
    """All lanes of its senders."""
    senders: list[LaunchedSender] = msgspec.field(default_factory=list)
    """In the order of the spec; [] until the launch."""
    wording: Wording | None = None
    """As of its launch; None until then."""
    resume_to: Status | None = None
    """Status that a resume returns to; set while paused or suspended."""
    holds: list[Hold] = msgspec.field(default_factory=list)
    """Parts of the system that held the campaign, each once."""
    suspended: Suspended | None = None
    """None: never."""
    resolved: list[Resolved] = msgspec.field(default_factory=list)
    """Operators' decisions about unknown messages, newest last."""
    retry: Retry | None = None
    """None: it is no retry."""
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    """Of the last 8 commands, newest last."""

    @property
    def account(self) -> str:
        """The account that sends it; "" where the spec cannot be read."""
        return str(self.spec.get("account", ""))

    def draft(self) -> DraftSpec:
        """The validated spec of a campaign that need not be complete.

        Raises:
            pydantic.ValidationError: this version cannot read it.
        """
        return DraftSpec.model_validate(self.spec)

    def parsed(self) -> CampaignSpec:
        """The validated spec of a campaign that is, or was, launched.

        Raises:
            pydantic.ValidationError: it is incomplete, or this version cannot read it.
        """
        return CampaignSpec.model_validate(self.spec)


Action = Literal["create", "edit", "delete", "launch", "pause", "resume", "cancel", "resolve"]


class Command(Record, tag="command", kw_only=True):
    """Topic `commands`, keyed by campaign: what an operator asked for."""

    id: str
    campaign: Campaign
    action: Action
    at: Millis
    by: str
    spec: dict[str, Any] | None = None
    expected: Count | None = None
    """Of `edit`: the revision that its author saw; refused if the definition was changed since. None: whatever there
    is."""
    resolutions: list[Resolution] = msgspec.field(default_factory=list)
    """Of `resolve`: who, message by message."""
    retry: Retry | None = None
    """Of `create`: what the campaign tries again."""


class Frozen(Record, tag="frozen", kw_only=True):
    """Topic `commands`: the audience of `campaign` (launched as `revision`) has `recipients` ordinals."""

    campaign: Campaign
    revision: Annotated[int, msgspec.Meta(ge=1)]
    recipients: Count
    bound: Bound | None = None
    """The most that it can cost, where that must be reserved."""
    at: Millis


class Funding(Record, tag="funding", kw_only=True):
    """Topic `commands`: how the ledger has answered a campaign (launched as `revision`) that asked for a
    reservation."""

    campaign: Campaign
    account: AccountName
    revision: Count
    state: ChargeState
    missing: Credit = 0
    """What its account is short of, in millionths of a credit; 0 of a refusal: its trial limit is reached."""
    at: Millis


class RetryListed(Record, tag="retry-listed", kw_only=True):
    """Topic `commands`: the list of those whom the retry `campaign` goes to is made."""

    campaign: Campaign
    recipients: Count
    at: Millis


class Note(Record, tag="note", kw_only=True):
    """Topic `commands`: why a step of this campaign waits ("" when it no longer does)."""

    campaign: Campaign
    reason: str
    at: Millis


class Progress(Record, tag="progress", kw_only=True):
    """Topic `commands`: the time of a scheduled campaign has come (`at` tells which), or what the accounting in
    ClickHouse says: every recipient handed over, or all settled."""

    campaign: Campaign
    reached: Literal["due", "sent", "finished"]
    at: Millis


class Suspension(Record, tag="suspension", kw_only=True):
    """Topic `commands`: a part of the system suspends a campaign, or no longer does.

    `by` names what holds it for as long as it does, whoever runs it: `lane 3`, not a worker. A campaign goes on when
    each that held it has said so, or an operator resumes it. Of one `by` a record that is not later (`at`) than the
    last says nothing new.
    """

    campaign: Campaign
    suspended: bool
    reason: str
    at: Millis
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


CommandsRecord = Command | Frozen | Funding | RetryListed | Note | Progress | Suspension
"""What topic `commands` carries."""

COMMANDS: Codec[CommandsRecord] = Codec(CommandsRecord)
CAMPAIGNS: Codec[CampaignDocument] = Codec(CampaignDocument)
