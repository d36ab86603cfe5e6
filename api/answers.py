"""What the routes answer, for the API's description: the fields that clients may rely on. More may be there."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from schemas.campaign import Status


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
    revision: int
    created: str | None
    updated: str | None
    launched: str | None
    finished: str | None
    send_at: str | None
    recipients: int
    actions: list[str]
    rate: float
    figures: dict[str, Any] | None


class CampaignList(_Answer):
    """A page of campaigns."""

    campaigns: list[Campaign]
    total: int
    page: int
    pages: int
    next: str
    sources: dict[str, Any]


class Deleted(_Answer):
    """A campaign that is gone."""

    id: str
    deleted: bool


class Accepted(_Answer):
    """A command that is kept and not yet carried out."""

    id: str
    command: str
    accepted: bool
    carried_out: bool
    message: str


class Health(_Answer):
    """Whether this process serves, and what it can reach."""

    ok: bool
    loading: bool
    sources: dict[str, Any]


class Inbox(_Answer):
    """A page of texts and changes of consent."""

    lines: list[dict[str, Any]]
    next: str


class Recorded(_Answer):
    """How many changes were recorded."""

    recorded: int


class Replies(_Answer):
    """Answers to people's texts by sender."""

    senders: list[dict[str, Any]]


_DONE: Final = {"200": Campaign, "202": Accepted}
_MADE: Final = {"201": Campaign, "202": Accepted}
ANSWERS: Final[dict[tuple[str, str], dict[str, type[BaseModel]]]] = {
    ("get", "/v1/campaigns"): {"200": CampaignList},
    ("get", "/v1/campaigns/{campaign}"): {"200": Campaign},
    ("post", "/v1/campaigns"): _MADE,
    ("put", "/v1/campaigns/{campaign}"): _DONE,
    ("delete", "/v1/campaigns/{campaign}"): {"200": Deleted, "202": Accepted},
    ("post", "/v1/campaigns/{campaign}/launch"): _DONE,
    ("post", "/v1/campaigns/{campaign}/duplicate"): _MADE,
    ("post", "/v1/campaigns/{campaign}/retry-failed"): _MADE,
    ("post", "/v1/campaigns/{campaign}/resolve"): _DONE,
    ("post", "/v1/campaigns/{campaign}/{action}"): _DONE,
    ("get", "/healthz"): {"200": Health},
    ("get", "/v1/inbox"): {"200": Inbox},
    ("post", "/v1/optouts"): {"200": Recorded},
    ("delete", "/v1/optouts/{number}"): {"200": Recorded},
    ("get", "/v1/replies"): {"200": Replies},
}
"""By method and path: status to what it carries."""
MODELS: Final = {model.__name__: model for answers in ANSWERS.values() for model in answers.values()}
STREAMS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("get", "/metrics"): {"text/plain": {"schema": {"type": "string"}}},
    ("get", "/v1/live"): {"text/event-stream": {"schema": {"type": "string"}}},
    ("get", "/v1/optouts/export"): {"text/csv": {"schema": {"type": "string"}}},
    ("get", "/v1/campaigns/{campaign}/export"): {
        "text/csv": {"schema": {"type": "string"}},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    },
}
