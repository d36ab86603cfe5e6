"""What the routes answer, for the API's description: the fields that clients may rely on. More may be there."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from pipeline.insight.forecast_words import Binding
from schemas.campaign import Status
from schemas.domains import DomainKind
from schemas.json import JsonObject
from schemas.keys import Scope


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class Campaign(_Answer):
    """A campaign with its status and figures; times in UTC, figures as of the last reading."""

    id: str
    name: str
    tags: list[str]
    account: str
    sender: str
    status: Status
    reason: str
    reason_text: str
    revision: int
    created: str | None
    updated: str | None
    launched: str | None
    finished: str | None
    send_at: str | None
    recipients: int
    retry: JsonObject | None
    """What it is a retry of."""
    actions: list[str]
    rate: float
    figures: JsonObject | None


class MissingPart(_Answer):
    """What a draft lacks: where in the campaign, what, and what to write or do."""

    where: str
    what: str
    fix: str


class WholeCampaign(Campaign):
    """A campaign in full; `missing` is what a draft lacks to be launched."""

    spec: JsonObject
    missing: list[MissingPart]


class AppliedCampaign(_Answer):
    """What a file makes of a campaign: `what` is added, changed or same; `changes` are the fields that differ (of
    lists, the items). `refused`: why it cannot be changed anymore."""

    id: str
    key: str | None
    name: str
    what: Literal["added", "changed", "same"]
    changes: list[JsonObject]
    refused: str
    dry_run: bool
    carried_out: bool


class CampaignList(_Answer):
    """A page of campaigns."""

    campaigns: list[Campaign]
    total: int
    page: int
    pages: int
    next: str
    sources: JsonObject


class Deleted(_Answer):
    """A deleted campaign."""

    id: str
    deleted: bool


class Accepted(_Answer):
    """A command that is accepted and not yet carried out."""

    id: str
    command: str
    accepted: bool
    carried_out: bool
    message: str


class Alive(_Answer):
    """Whether this process is alive."""

    process: str
    alive: bool


class NotReady(_Answer):
    """A part that is not ready: since when, and for how many seconds."""

    part: str
    problem: str
    since: str
    seconds: int


class Readiness(_Answer):
    """Whether this process can do its work: `not_ready` keeps it from that, `limited` from a part of it."""

    process: str
    ready: bool
    not_ready: list[NotReady]
    limited: list[NotReady]


class Vocabulary(_Answer):
    """The words of states, statuses and reasons."""

    states: list[JsonObject]
    statuses: list[str]
    changing_statuses: list[str]
    reasons: list[JsonObject]


class Inbox(_Answer):
    """A page of inbound texts and consent changes."""

    lines: list[JsonObject]
    next: str


class Recorded(_Answer):
    """How many changes were recorded, and which numbers were refused."""

    recorded: int
    refused: list[JsonObject]


class Replies(_Answer):
    """Our replies to inbound texts, by sender."""

    senders: list[JsonObject]


class Consents(_Answer):
    """Which accounts may write to a number, and every consent change."""

    number: str
    opted_out: bool
    held: bool
    accounts: dict[str, str]
    history: list[JsonObject]


class OptedIn(_Answer):
    """A number that may be written to again, unless a text of theirs still holds it."""

    recorded: int
    held: bool


class Decided(_Answer):
    """How many holds were decided."""

    decided: int


class Person(_Answer):
    """Everything that is stored about a number."""

    number: str
    contact: JsonObject | None
    lists: list[JsonObject]
    messages: list[JsonObject]
    texts: list[JsonObject]
    answers: list[JsonObject]
    consents: list[JsonObject]
    unreachable: JsonObject | None


class Erased(_Answer):
    """A number that was erased, and what is kept of it and why."""

    erased: str
    stays: list[str]


class UnreachableNumber(_Answer):
    """A number that campaigns skip; `retry_at` null: it is not tried again by itself."""

    number: str
    reason: str
    at: str
    retry_at: str | None
    account: str
    campaign: str


class UnreachableList(_Answer):
    """A page of unreachable numbers."""

    counts: dict[str, int]
    numbers: list[UnreachableNumber]
    next: str


class Cleared(_Answer):
    """A number that campaigns try again."""

    cleared: str


class ZoneForecast(_Answer):
    """One zone of a forecast; `finish` null: `unreached` are left."""

    zone: str
    recipients: int
    finish: str | None
    unreached: int


class Forecast(_Answer):
    """Whether and when a campaign can be sent. `beyond_horizon`: nothing is known of the finish, which lies after
    `horizon`."""

    name: str
    audience: str
    recipients: int
    segments: int
    begin: str
    finish: str | None
    seconds: float | None
    needs: float
    unreached: int
    horizon: str
    beyond_horizon: bool
    binding: Binding
    why: str
    zones: list[ZoneForecast]
    skipped: dict[str, int]


class Finding(_Answer):
    """`where` in the campaign, and `what` is wrong or worth knowing."""

    where: str
    what: str
    code: str


class Review(_Answer):
    """What would forbid a launch, who would get it, what it would cost, and how it would go."""

    id: str
    status: Status
    ok: bool
    problems: list[Finding]
    warnings: list[Finding]
    recipients: int
    sendable: int
    skipped: dict[str, int]
    expiring: int
    texts: list[JsonObject]
    segments: int
    cost: int
    most: int
    available: int | None
    seconds: float
    lateness: str
    forecast: JsonObject | None


class Key(_Answer):
    """A key of the API, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    accounts: list[str]
    state: str
    created: str | None
    by: str
    expires: str | None
    revoked: str | None
    revoked_by: str
    replaces: str


class KeyList(_Answer):
    """Keys, the newest first."""

    keys: list[Key]


class NewKey(Key):
    """A new key with its secret, which is shown this once."""

    secret: str


class Revoked(_Answer):
    """A revoked key."""

    revoked: str


class SignedIn(_Answer):
    """Whose key it is, and for a browser the CSRF token of its session ("" for a program)."""

    key: str
    name: str
    scopes: list[Scope]
    accounts: list[str]
    expires: str | None
    csrf: str


class SignedOut(_Answer):
    """The browser is signed out."""

    signed_out: bool


class SignInLink(_Answer):
    """A link that signs a browser in, once."""

    url: str
    expires: str | None


class Account(_Answer):
    """An account; `spec` is what a person wrote, with what holds where they wrote nothing."""

    account: str
    revision: int
    spec: JsonObject
    senders: int
    created: str
    updated: str
    by: str


class AccountList(_Answer):
    """A page of accounts."""

    accounts: list[Account]
    next: str


class Sender(_Answer):
    """A sender, and the lanes that carry it."""

    account: str
    sender: str
    revision: int
    spec: JsonObject
    lanes: list[int]
    created: str
    updated: str
    by: str


class SenderList(_Answer):
    """A page of senders."""

    senders: list[Sender]
    next: str


class LinkDomain(_Answer):
    """A domain of an account's links, with the messages that have carried it and may still carry it (null: any
    number). `revision` is the account's."""

    account: str
    domain: str
    revision: int
    spec: JsonObject
    used: int
    left: int | None


class DomainPool(_Answer):
    """What is left of the active domains of a kind, in messages; null: no limit."""

    kind: DomainKind
    limit: int | None
    used: int
    left: int | None
    nearly_used: bool


class DomainList(_Answer):
    """The domains of an account, and the kinds of links that are on them."""

    domains: list[LinkDomain]
    pools: list[DomainPool]


class PriceList(_Answer):
    """A price list; `prices` as a person wrote them."""

    name: str
    revision: int
    built_in: bool
    prices: list[JsonObject]
    updated: str | None
    by: str


class PriceLists(_Answer):
    """Price lists by name."""

    prices: list[PriceList]


class Applied(_Answer):
    """What a file changes: `what` is added, changed or same; `fields` have before and after."""

    dry_run: bool
    changes: list[JsonObject]
    refused: list[JsonObject]
    carried_out: bool


class WaitingForBalance(_Answer):
    """A campaign that waits for a top-up; credits as decimal text."""

    campaign: str
    asked: str
    missing: str


class Balance(_Answer):
    """An account's money, in credits as decimal text."""

    account: str
    billing: str
    balance: str
    reserved: str
    available: str
    topped_up: str
    spent: str
    uncovered: str
    segments: int
    low_balance: str | None
    waiting: list[WaitingForBalance]


class MadeTopUp(_Answer):
    """A top-up that was carried out, and the balance afterwards."""

    id: str
    account: str
    amount: str
    note: str
    at: str
    by: str
    balance: Balance


class StatementItem(_Answer):
    """A line of a statement: by how much balance and reserved sum change, in credits as decimal text."""

    at: str
    kind: str
    campaign: str
    name: str
    billing: str
    price: str
    messages: int
    segments: int
    amount: str
    balance: str
    reserved: str
    note: str
    by: str


class Statement(_Answer):
    """A page of an account's statement, with the sums before and after the whole period."""

    account: str
    first: str
    last: str
    opening: str
    closing: str
    items: list[StatementItem]
    next: str


class Alert(_Answer):
    """An alert to an account's people, and what became of it at each destination: `state` is held, waiting, sent,
    failed, replaced or removed."""

    id: str
    account: str
    about: str
    subject: str
    at: str
    text: str
    deliveries: list[JsonObject]


class TestAlert(Alert):
    """A test alert. `carried_out`: whether a worker has taken it."""

    carried_out: bool


class AlertList(_Answer):
    """The last alerts of an account, the newest first."""

    alerts: list[Alert]


class WebhookSecret(_Answer):
    """The secret that signs the webhooks of an account's alerts, and its number."""

    account: str
    webhook_secret: int
    secret: str


class AuditLog(_Answer):
    """Who did what, the newest first."""

    entries: list[JsonObject]
    next: str


_DONE: Final[dict[str, type[BaseModel]]] = {"200": WholeCampaign, "202": Accepted}
_MADE: Final[dict[str, type[BaseModel]]] = {"201": WholeCampaign, "202": Accepted}
ANSWERS: Final[dict[tuple[str, str], dict[str, type[BaseModel]]]] = {
    ("get", "/v1/campaigns"): {"200": CampaignList},
    ("post", "/v1/campaigns/apply"): {"200": AppliedCampaign},
    ("get", "/v1/campaigns/{campaign}"): {"200": WholeCampaign},
    ("post", "/v1/campaigns"): _MADE,
    ("put", "/v1/campaigns/{campaign}"): _DONE,
    ("delete", "/v1/campaigns/{campaign}"): {"200": Deleted, "202": Accepted},
    ("post", "/v1/campaigns/{campaign}/launch"): _DONE,
    ("post", "/v1/campaigns/{campaign}/duplicate"): _MADE,
    ("post", "/v1/campaigns/{campaign}/retry-failed"): _MADE,
    ("post", "/v1/campaigns/{campaign}/resolve"): _DONE,
    ("post", "/v1/campaigns/{campaign}/pause"): _DONE,
    ("post", "/v1/campaigns/{campaign}/resume"): _DONE,
    ("post", "/v1/campaigns/{campaign}/cancel"): _DONE,
    ("get", "/healthz"): {"200": Alive, "503": Alive},
    ("get", "/readyz"): {"200": Readiness, "503": Readiness},
    ("get", "/v1/inbox"): {"200": Inbox},
    ("get", "/v1/vocabulary"): {"200": Vocabulary},
    ("post", "/v1/optouts"): {"200": Recorded},
    ("get", "/v1/optouts/{number}"): {"200": Consents},
    ("delete", "/v1/optouts/{number}"): {"200": OptedIn},
    ("post", "/v1/optouts/{number}/holds"): {"200": Decided},
    ("get", "/v1/contacts/{number}"): {"200": Person},
    ("delete", "/v1/contacts/{number}"): {"200": Erased},
    ("get", "/v1/unreachable"): {"200": UnreachableList},
    ("delete", "/v1/unreachable/{number}"): {"200": Cleared},
    ("post", "/v1/forecast"): {"200": Forecast},
    ("get", "/v1/campaigns/{campaign}/review"): {"200": Review},
    ("get", "/v1/replies"): {"200": Replies},
    ("get", "/v1/keys"): {"200": KeyList},
    ("post", "/v1/keys"): {"201": NewKey},
    ("post", "/v1/keys/{key}/rotate"): {"201": NewKey},
    ("delete", "/v1/keys/{key}"): {"200": Revoked},
    ("get", "/v1/session"): {"200": SignedIn},
    ("post", "/v1/session"): {"200": SignedIn},
    ("delete", "/v1/session"): {"200": SignedOut},
    ("post", "/v1/session/links"): {"201": SignInLink},
    ("get", "/v1/audit"): {"200": AuditLog},
    ("get", "/v1/accounts"): {"200": AccountList},
    ("post", "/v1/accounts/apply"): {"200": Applied},
    ("get", "/v1/accounts/{account}"): {"200": Account},
    ("put", "/v1/accounts/{account}"): {"200": Account, "202": Accepted},
    ("delete", "/v1/accounts/{account}"): {"200": Deleted, "202": Accepted},
    ("get", "/v1/accounts/{account}/senders"): {"200": SenderList},
    ("get", "/v1/accounts/{account}/senders/{sender}"): {"200": Sender},
    ("put", "/v1/accounts/{account}/senders/{sender}"): {"200": Sender, "202": Accepted},
    ("delete", "/v1/accounts/{account}/senders/{sender}"): {"200": Deleted, "202": Accepted},
    ("get", "/v1/accounts/{account}/balance"): {"200": Balance},
    ("post", "/v1/accounts/{account}/top-ups"): {"201": MadeTopUp, "202": Accepted},
    ("get", "/v1/accounts/{account}/statement"): {"200": Statement},
    ("get", "/v1/accounts/{account}/domains"): {"200": DomainList},
    ("get", "/v1/accounts/{account}/domains/{domain}"): {"200": LinkDomain},
    ("put", "/v1/accounts/{account}/domains/{domain}"): {"200": LinkDomain, "202": Accepted},
    ("delete", "/v1/accounts/{account}/domains/{domain}"): {"200": Deleted, "202": Accepted},
    ("get", "/v1/accounts/{account}/alerts"): {"200": AlertList},
    ("post", "/v1/accounts/{account}/alerts/test"): {"200": TestAlert},
    ("get", "/v1/accounts/{account}/alerts/secret"): {"200": WebhookSecret},
    ("get", "/v1/prices"): {"200": PriceLists},
    ("get", "/v1/prices/{name}"): {"200": PriceList},
    ("put", "/v1/prices/{name}"): {"200": PriceList, "202": Accepted},
    ("delete", "/v1/prices/{name}"): {"200": Deleted, "202": Accepted},
}
"""By method and path: status to what it carries."""
MODELS: Final = {model.__name__: model for answers in ANSWERS.values() for model in answers.values()}
STREAMS: Final[dict[tuple[str, str], JsonObject]] = {
    ("get", "/v1/live"): {"text/event-stream": {"schema": {"type": "string"}}},
    ("get", "/v1/unreachable/export"): {"text/csv": {"schema": {"type": "string"}}},
    ("get", "/v1/accounts/{account}/statement.csv"): {"text/csv": {"schema": {"type": "string"}}},
    ("get", "/v1/accounts/{account}/invoice.csv"): {"text/csv": {"schema": {"type": "string"}}},
    ("get", "/v1/optouts/export"): {"text/csv": {"schema": {"type": "string"}}},
    ("get", "/v1/campaigns/{campaign}/export"): {
        "text/csv": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    },
}
