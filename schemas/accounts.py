"""Accounts, senders and prices: what a person writes (the specs), the stored documents, and the commands that change
them.

Topic `accounts` is compacted and holds everything by key: an account under its name, a sender under ACCOUNT/SENDER, a
price list under prices:NAME, under domains:ACCOUNT what has been used of an account's domains, under answers:SUBJECT
what became of the last commands about an account or a price list, and under numbers:PARTITION the number of the next
new account there. All records of an account are in one partition, that of its commands.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    UrlConstraints,
    model_validator,
)

from schemas.campaign import Line, SiteNameRule
from schemas.domains import MOST_DOMAINS, Domain, DomainsDocument, DomainUse, HostName
from schemas.ids import NAME_PATTERN, Country, Name, Zone, known_country
from schemas.sender_numbers import SenderKind, check_kind, country_of, kind_of
from schemas.wire import Codec, Count, Millis, Record

MICRO: Final = 1_000_000
"""Millionths in a credit: money is whole millionths, so that sums are exact."""
MOST_CREDITS: Final = 1_000_000_000_000
PACIFIC: Final = "America/Los_Angeles"
MOST_ACCOUNTS: Final = 65_535
"""Those that were removed count: reservations have two bytes for an account, and 0 is one that is not known."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def micro(credits: Decimal) -> int:
    """Millionths of a credit."""
    return int(credits * MICRO)


def in_credits(millionths: int) -> str:
    """Credits as people read and write them, exact: `1234.5`."""
    return format((Decimal(millionths) / MICRO).normalize(), "f")


def _exact(credits: Decimal) -> Decimal:
    if credits * MICRO != int(credits * MICRO):
        raise ValueError(f"{credits} is finer than a millionth of a credit")
    return Decimal(format(credits.normalize(), "f"))


Credits = Annotated[Decimal, Field(ge=0, le=MOST_CREDITS, allow_inf_nan=False), AfterValidator(_exact)]
"""A decimal, as text or number, exact to a millionth."""
SignedCredits = Annotated[
    Decimal, Field(ge=-MOST_CREDITS, le=MOST_CREDITS, allow_inf_nan=False), AfterValidator(_exact)
]
"""The same, below zero too."""
Rate = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Carrier = Annotated[Line, Field(min_length=1, max_length=60)]


def _without_placeholders(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError("replies are plain text: nothing is filled in, and braces would go out as they stand")
    return text


ReplyText = Annotated[str, Field(max_length=1000), AfterValidator(_without_placeholders)]


class Replies(_Strict):
    """What an account answers to people's texts: plain text, the site's name goes in front. "" = no answer."""

    stopped: ReplyText = "You are unsubscribed and will get no more messages. Reply START to resubscribe."
    """The one confirmation of a STOP; the law wants no marketing in it."""
    started: ReplyText = "You are subscribed again. Reply HELP for help, STOP to unsubscribe."
    """The answer to a START that ends an opt-out."""
    help: ReplyText = "This number sends our news and offers. Reply STOP to unsubscribe."
    """Add how you can be reached."""
    auto: ReplyText = ""
    """To every other text."""
    per_hour: Annotated[int, Field(ge=0, le=20)] = 3
    """Replies to one number at most, so that two machines do not talk forever."""
    per_day: Annotated[int, Field(ge=0, le=30)] = 10
    """The same for a day."""

    def of(self, kind: Literal["stopped", "started", "help", "auto"], site_name: str) -> str:
        """The text as it goes out, "" where there is none."""
        text: str = getattr(self, kind).strip()
        return f"{site_name}: {text}" if text and site_name and not text.startswith(site_name) else text


class Characters(_Strict):
    """What becomes of characters that force UCS-2, with 70 characters a segment instead of 160."""

    replace: bool = True
    """Whether quotation marks, dashes, spaces and the like that GSM-7 lacks are replaced by those that it has, where
    that brings the text into GSM-7. Links and letters stay as they are. A campaign may say otherwise
    (`replace_characters`)."""


class Caps(_Strict):
    """How many messages of an account a recipient gets at most; transactional ones and replies do not count."""

    day: Annotated[int, Field(ge=1, le=100)] | None = None
    """In any 24 hours."""
    week: Annotated[int, Field(ge=1, le=200)] | None = None
    """In any 7 days."""


class Brand(_Strict):
    """A brand as carriers know it: their limits a day count all senders of the brand together."""

    carrier_daily: Annotated[dict[Carrier, Annotated[int, Field(ge=0, le=1_000_000_000)]], Field(max_length=100)] = {}
    """Carrier name (contact attribute `carrier`) to segments per day."""


_EMAIL: Final = re.compile(r"[^@\s<>(),;:\"\[\]\\]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?", re.IGNORECASE)


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError(f"{text!r} is no e-mail address")
    return text


def _phone(text: str) -> str:
    if kind_of(text) not in ("long-code", "toll-free"):
        raise ValueError(f"{text!r} is no phone number with + and country code")
    return text


def _without_user(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise ValueError("no user and password: they would be shown with the account")
    return url


Webhook = Annotated[HttpUrl, UrlConstraints(max_length=2000), AfterValidator(_without_user)]


class Alerts(_Strict):
    """Who is told of what an account should know, for instance that its balance is low."""

    emails: Annotated[tuple[Annotated[str, AfterValidator(_email)], ...], Field(max_length=20)] = ()
    """E-mail addresses."""
    numbers: Annotated[tuple[Annotated[str, AfterValidator(_phone)], ...], Field(max_length=20)] = ()
    """Phone numbers, with + and country code."""
    webhooks: Annotated[tuple[Webhook, ...], Field(max_length=20)] = ()
    """Addresses that get a POST."""
    webhook_secret: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Number of the secret that signs the POSTs: a higher one is another secret."""


class AccountSpec(_Strict):
    """A shop."""

    active: bool = True
    """Whether it may send. Of an inactive one nothing is submitted, and a campaign that is launched or becomes due
    fails."""
    site_name: Annotated[Line, Field(max_length=100)] = ""
    """The name that goes in front of each message. "": none."""
    site_name_rule: SiteNameRule = "add"
    """What becomes of a campaign's text without the site name. add: it goes in front of a text that does not begin
    with it; check: the review warns of a text that has it nowhere; off: nothing."""
    characters: Characters = Characters()
    store_zone: Zone = "America/New_York"
    """The account's own time zone."""
    segments_per_second: Rate = 1_000_000.0
    """Maximum segments that the account submits in any second, over all its senders."""
    unknown_zone: Literal["store", "skip"] = "store"
    """A recipient whose zone is unknown: by the store's clock, or not at all."""
    quiet_reading: Literal["cautious", "common", "none"] | None = None
    """Where a law can be read in two ways (France: 20-08 or 22-08). "none", no quiet hours at all, is refused unless
    all of the account's messages go to this installation's simulated aggregator, where it is the default; else the
    default is "cautious"."""
    quiet_hours: Annotated[dict[str, dict[str, str]], Field(max_length=300)] = {}
    """Allowed hours of its own by country, region or *: {"US": {"mon-fri": "10:00-18:00"}}; they may only narrow."""
    caps: Caps = Caps()
    resend_attempts: Annotated[int, Field(ge=2, le=10)] = 2
    """Submissions of a message at most that may have arrived, of campaigns with `unknown = "resend"`; then it stays
    unknown."""
    lateness_hours: Annotated[float, Field(ge=0, le=168)] = 2.0
    """A marketing message that machines (ours or the aggregator's) would make later than this is not sent anymore,
    its recipient is expired, `too_late`. 0: however late."""
    transactional_lateness_hours: Annotated[float, Field(ge=0, le=168)] = 0.0
    """The same for transactional messages."""
    max_segments: Annotated[int, Field(ge=1, le=10)] = 6
    """Whose text takes more segments is skipped (`too_many_segments`). Above 10 (1,600 characters) aggregators refuse
    a text or the phone gets it in pieces."""
    unreachable_retry_days: Annotated[int, Field(ge=0, le=3650)] = 90
    """Days after which a number that a carrier could not reach (a landline, unknown, no mobile) is tried again; 0:
    never."""
    replies: Replies = Replies()
    brands: Annotated[dict[Name, Brand], Field(max_length=1000)] = {}
    """The account's brands by name; a sender says which it belongs to."""
    carrier_zone: Zone = PACIFIC
    """At whose midnight the day of the carriers' limits ends."""
    billing: Literal["prepaid", "invoice"] = "invoice"
    """Whether messages are paid from the account's balance, or by invoice."""
    trial_segments: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    """Segments that it may send altogether while it is on trial; without: it is not on trial."""
    price_list: Name = "default"
    """The price list that holds for it."""
    domains: Annotated[dict[HostName, Domain], Field(max_length=MOST_DOMAINS)] = {}
    """Domains of its links by host name. An account without one of a kind has such links at the installation's
    address."""
    own_domains: bool = False
    """Whether links may only be on domains of its own: a campaign that needs a domain and has none fails
    (`no_domain`) instead of using the installation's address."""
    low_balance: Credits | None = None
    """Credits below which its balance is low; without: no alert."""
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _has_a_name_to_check(self) -> AccountSpec:
        if self.site_name_rule == "check" and not self.site_name.strip():
            raise ValueError(
                'site_name_rule = "check" needs a site_name to look for: set it, or site_name_rule = "off"'
            )
        return self


def _written_as_digits(value: object) -> object:
    """A short code may be written without quotation marks."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class SenderSpec(_Strict):
    """A number, short code or name that messages come from."""

    number: Annotated[str, BeforeValidator(_written_as_digits), Field(min_length=1, max_length=16)]
    """With + and country code (+18885550100), a short code of 3 to 8 digits, or a name of at most 11 letters, digits
    and spaces."""
    kind: SenderKind | None = None
    """What it is. Without it, what `number` looks like; with it, `number` must look like it."""
    country: Country | None = None
    """Where the sender is (ISO code), for people's numbers that come without a country code. Without it, the country
    of `number`; a short code or a name has none."""
    aggregator: Name = "local"
    """The name of the aggregator that takes its messages."""
    segments_per_second: Annotated[float, Field(le=1_000_000, allow_inf_nan=False)] = 100.0
    """Maximum segments that the sender submits in any second."""
    brand: Name | None = None
    """The account's brand that it belongs to, whose limits per carrier and day count for it."""
    lanes: Annotated[tuple[Annotated[int, Field(ge=0, le=1023)], ...], Field(max_length=64)] = ()
    """Partitions of `lanes` that carry it, each with an equal share of its rate; more than one only where one process
    is too slow for it. []: the lane that follows from the account's name."""

    @model_validator(mode="after")
    def _sends_something(self) -> SenderSpec:
        if self.segments_per_second <= 0:
            raise ValueError(
                "segments_per_second must be above 0: to stop a sender, remove it (`longwave senders remove`), or "
                "set the account inactive"
            )
        if len(set(self.lanes)) != len(self.lanes):
            raise ValueError("lanes names a lane twice")
        if self.kind is None:
            kind_of(self.number)
        else:
            check_kind(self.number, self.kind)
        return self


def _country_or_any(code: str) -> str:
    return code if code == "*" else known_country(code)


class PriceEntry(_Strict):
    """What a segment costs from a day on."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    since: Annotated[date, Field(alias="from")]
    """The first day, in UTC, on which it holds."""
    country: Annotated[str, AfterValidator(_country_or_any)]
    """ISO code, or * for every country that has no entry of its own."""
    network: Carrier | None = None
    """Only for recipients whose contact attribute `carrier` is this; case does not matter."""
    price: Credits
    """Credits per segment."""


class PriceListSpec(_Strict):
    """Dated prices: of the entries in force, the most specific counts, and of these the newest."""

    prices: Annotated[tuple[PriceEntry, ...], Field(max_length=5000)]

    @model_validator(mode="after")
    def _says_it_once(self) -> PriceListSpec:
        if not self.prices:
            raise ValueError("has no prices: remove the list, or give one")
        seen: set[tuple[date, str, str]] = set()
        for entry in self.prices:
            key = (entry.since, entry.country, (entry.network or "").casefold())
            if key in seen:
                raise ValueError(f"two prices for {entry.country} {entry.network or ''} from {entry.since}")
            seen.add(key)
        return self


class Stored(Record, kw_only=True):
    """What is stored of every account, sender and price list: who changed it last, and when."""

    revision: Annotated[int, msgspec.Meta(ge=1)]
    """Names this state of the spec: who changes it says which one they saw."""
    created: Millis
    updated: Millis
    by: str
    """Who changed it last."""
    command: str
    """The id of the last command that changed it; of an account, also of one that changed a sender of it."""
    removed: Millis = 0
    """When it was removed; 0: it was not. It stays stored, so that revisions grow should it come back."""


class AccountDocument(Stored, tag="account", kw_only=True):
    """An account as of its newest change. `spec` is an `AccountSpec` in JSON form."""

    account: str
    number: Annotated[int, msgspec.Meta(ge=1, le=MOST_ACCOUNTS)]
    """Names the account, and no other, in the compact reservations of smart sending; for good."""
    spec: dict[str, Any]
    generation: Annotated[int, msgspec.Meta(ge=1)]
    """The newest revision of the account and all its senders."""
    turned: Count = 0
    """The revision in which it last became active or inactive; 0: always active."""
    shares: list[tuple[Count, str, Count]] = msgspec.field(default_factory=list)
    """(lane, brand, rate): what its senders of that brand may send in that lane, in millionths of a segment a second;
    sorted."""

    def parsed(self) -> AccountSpec:
        """The validated spec."""
        return AccountSpec.model_validate(self.spec)


class SenderDocument(Stored, tag="sender", kw_only=True):
    """A sender as of its newest change; the fields of its spec, with the kind of its number and its country."""

    account: str
    sender: str
    number: str
    sender_kind: SenderKind
    country: str
    """"" where it has none."""
    aggregator: str
    segments_per_second: float
    brand: str = ""
    lanes: list[Count] = msgspec.field(default_factory=list)
    """As the spec says: [] is the account's home lane."""
    former: list[Count] = msgspec.field(default_factory=list)
    """Lanes that carried it before."""


class PriceListDocument(Stored, tag="prices", kw_only=True):
    """A price list as of its newest change. `spec` is a `PriceListSpec` in JSON form."""

    name: str
    spec: dict[str, Any]

    def parsed(self) -> PriceListSpec:
        """The validated spec."""
        return PriceListSpec.model_validate(self.spec)


Verdict = Literal["done", "unchanged", "stale", "absent", "wrong", "in_use"]
"""What became of a command. stale: somebody else was first; absent: there is nothing to change; wrong: the change
cannot hold; in_use: campaigns or accounts need what it would take away."""


class Answer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of a command; `error` says why where nothing was changed."""

    command: str
    verdict: Verdict
    error: str = ""


KEPT_ANSWERS: Final = 64
"""As many commands as a step may have under way: one that comes again after a crash is among them."""


class Answers(Record, tag="answers", kw_only=True):
    """What became of the last commands about `subject` (an account, or prices:NAME), the newest last. Beside the
    documents, so that a command about something that does not exist, or no longer, has its answer too."""

    subject: str
    answers: list[Answer]


class Numbers(Record, tag="numbers", kw_only=True):
    """How many accounts a partition has numbered."""

    partition: Count
    given: Count


class Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new spec of an account (`sender` "") or of one of its senders; None removes it."""

    sender: str = ""
    spec: dict[str, Any] | None
    expected: Count
    """The revision that its author saw, also of what was removed by then; 0: there never was one."""


MOST_CHANGES: Final = 500


class AccountCommand(Record, tag="account-command", kw_only=True):
    """Topic `account-commands`, keyed by account: changes of it and its senders, all or none."""

    id: str
    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    at: Millis
    by: str
    changes: Annotated[list[Change], msgspec.Meta(min_length=1, max_length=MOST_CHANGES)]
    suspend: bool = False
    """Suspend the campaigns that need what is taken away, instead of refusing."""


class PriceCommand(Record, tag="price-command", kw_only=True):
    """Topic `account-commands`, keyed by prices:NAME: a new price list, or None to remove it."""

    id: str
    name: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    at: Millis
    by: str
    spec: dict[str, Any] | None
    expected: Count


AccountsRecord = AccountDocument | SenderDocument | PriceListDocument | DomainsDocument | Answers | Numbers
ACCOUNTS: Final = Codec[AccountsRecord](AccountsRecord)
AccountsInput = AccountCommand | PriceCommand | DomainUse
ACCOUNT_COMMANDS: Final = Codec[AccountsInput](AccountsInput)


def prices_key(name: str) -> str:
    """The key of a price list; no account's name has a colon."""
    return f"prices:{name}"


def sender_key(account: str, sender: str) -> str:
    """The key of a sender."""
    return f"{account}/{sender}"


def domains_key(account: str) -> str:
    """The key of what has been used of an account's domains."""
    return f"domains:{account}"


def answers_key(subject: str) -> str:
    """The key of the answers about an account or a `prices_key`."""
    return f"answers:{subject}"


def numbers_key(partition: int) -> str:
    """The key of a partition's `Numbers`."""
    return f"numbers:{partition}"


def key_of(record: AccountsRecord) -> str:
    """The key of a record of topic `accounts`."""
    match record:
        case AccountDocument():
            return record.account
        case SenderDocument():
            return sender_key(record.account, record.sender)
        case PriceListDocument():
            return prices_key(record.name)
        case DomainsDocument():
            return domains_key(record.account)
        case Answers():
            return answers_key(record.subject)
        case Numbers():
            return numbers_key(record.partition)


def sender_spec(document: SenderDocument) -> SenderSpec:
    """What a person would write to have this sender."""
    return SenderSpec(
        number=document.number,
        kind=document.sender_kind,
        country=document.country or None,
        aggregator=document.aggregator,
        segments_per_second=document.segments_per_second,
        brand=document.brand or None,
        lanes=tuple(document.lanes),
    )


def filled(spec: SenderSpec) -> SenderSpec:
    """The spec with its kind and country, where the number says them."""
    kind, country = spec.kind or kind_of(spec.number), spec.country or country_of(spec.number) or None
    return spec.model_copy(update={"kind": kind, "country": country})
