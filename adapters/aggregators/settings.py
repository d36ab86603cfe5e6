"""Settings of aggregator accounts, a class a kind: `aggregators.NAME` of the settings, told apart by `kind`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from adapters.ports import Capabilities

LOCAL_SECRET: Final = "local-aggregator-secret"
DEFAULT_KIND: Final = "http-batch"


class AggregatorSettings(BaseModel, ABC):
    """What every kind has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    """Which protocol the aggregator speaks."""
    url: str
    """Where it takes messages."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the account can do, known without speaking to it."""

    def secrets(self) -> dict[str, SecretStr]:
        """Every secret of the account, by setting."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in values if isinstance(value, SecretStr)}


class HttpBatchSettings(AggregatorSettings):
    """An account that speaks the generic HTTP batch protocol (`adapters.aggregators.http_batch`)."""

    kind: Literal["http-batch"] = "http-batch"
    url: str = "http://127.0.0.1:18090/v1/messages"
    batch: Annotated[int, Field(ge=1, le=500)] = 500
    """Maximum messages in one request."""
    timeout: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds to wait for an answer."""
    connections: Annotated[int, Field(ge=1, le=256)] = 64
    """Maximum requests at the same time; further ones wait."""
    secret: SecretStr = SecretStr(LOCAL_SECRET)
    """Shared secret: HMAC-SHA256 of our requests and of its callbacks."""
    idempotency_keys: bool = True
    """It refuses to send a message id twice; needed for `unknown = "resend-with-key"`."""
    query_url: str = ""
    """Where it says what became of message ids; needed for `unknown = "query"`. "": nowhere."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            batch=self.batch,
            refuses_repeats=self.idempotency_keys,
            answers_queries=bool(self.query_url),
            remedies={"refuses_repeats": "idempotency_keys", "answers_queries": "query_url"},
        )


def _with_kind(value: Any) -> Any:
    return {"kind": DEFAULT_KIND, **value} if isinstance(value, dict) else value


AnyAggregator = Annotated[
    HttpBatchSettings,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
"""The settings of an account of whatever kind: `A | B | …`, one class for each kind."""
