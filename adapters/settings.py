"""Settings: `longwave.toml` and `LONGWAVE_*` variables (nested with `__`), checked once at the edge.

The variables win over the file. `load()` raises `SettingsError` whose text says what is wrong, where, and what
to do. Secrets are `SecretStr`, so that `longwave doctor` prints them masked.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from adapters.aggregators.settings import LOCAL_SECRET, AnyAggregator, HttpBatchSettings
from adapters.alerts.settings import Smtp, WebhookSettings
from adapters.doors.settings import LOOPBACK, Api, Ingress, Listen, is_on_this_machine
from adapters.private_files import read_password
from schemas.ids import Name

WRITER_METRICS, API_METRICS, INGRESS_METRICS = -1, -2, -3
"""From `metrics_port` to the port of each; a worker's is its index."""
CONFIG_VARIABLE = "LONGWAVE_CONFIG"
DEFAULT_CONFIG = "longwave.toml"


class SettingsError(Exception):
    """Wrong settings; the text is for the user."""


LOCAL_TOKEN_KEY = "local-only-token-key-change-it"
_PUBLISHED = frozenset({LOCAL_SECRET, LOCAL_TOKEN_KEY, "choose-a-long-random-key"})
"""Everybody can read these in our source: they hold on one machine with the simulated aggregator only."""
LEAST_SECRET = 16
"""Characters of a secret that holds outside of the local stack."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(_Strict):
    """Where the brokers are and how topics are made."""

    bootstrap: str = "127.0.0.1:19092"
    """Addresses of brokers, separated by commas. `longwave up` starts a broker at a local address."""
    replication: Annotated[int, Field(ge=1, le=15)] = 1
    """Copies of each partition; 3 in production, with three brokers or more."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 8
    """Partitions of every topic but `lanes`; must not change on a live system (table co-partitioning)."""
    lanes: Annotated[int, Field(ge=1, le=1024)] = 8
    """Partitions of `lanes` = how many lanes there are; must not change on a live system: accounts are spread over
    them."""
    session_timeout: Annotated[float, Field(ge=1, le=300)] = 6.0
    """Seconds after which the consumer group gives the partitions of a silent worker to others."""
    heartbeat_interval: Annotated[float, Field(ge=0.1, le=100)] = 0.5
    """How soon a worker hears of a rebalance: every lane stands still from the first to the last that hears."""


WRITER, READER = "default", "reader"
"""Users of the local ClickHouse endpoint."""
LOCAL_PASSWORDS = {WRITER: "password", READER: "reader-password"}
"""Files of the local endpoint's folder with the passwords of its users."""


class ClickHouse(_Strict):
    """The ClickHouse HTTP interface (a server, or the local chDB endpoint)."""

    host: str = "127.0.0.1"
    """Where the server is; at a local address `longwave up` serves it."""
    port: Annotated[int, Field(ge=1, le=65535)] = 18123
    """Port of the HTTP interface."""
    database: str = "longwave"
    """The database that holds all tables."""
    user: str = WRITER
    """The user of processes that write."""
    password: SecretStr = SecretStr("")
    """Password of `user`. "": none; on the local endpoint the one in its folder."""
    reader: str = ""
    """The user of processes that only read (API and page). "": `user`; on the local endpoint its reader."""
    reader_password: SecretStr = SecretStr("")
    """Password of `reader`."""
    secure: bool = False
    """Whether to use HTTPS."""
    local: Path | None = None
    """The folder of the local endpoint, whose passwords hold where none are set. Set by itself from `data`."""

    def credentials(self) -> tuple[str, str]:
        """User and password of whoever connects now.

        Raises:
            OSError: the local password cannot be read.
        """
        password = self.password.get_secret_value()
        if password or self.local is None or self.user not in LOCAL_PASSWORDS:
            return self.user, password
        return self.user, read_password(self.local / LOCAL_PASSWORDS[self.user])

    def reading(self) -> ClickHouse:
        """The same for a process that only reads."""
        if self.reader:
            return self.model_copy(update={"user": self.reader, "password": self.reader_password})
        if self.local is not None and self.user == WRITER and not self.password.get_secret_value():
            return self.model_copy(update={"user": READER})
        return self


class Worker(_Strict):
    """What a worker holds and how it sends."""

    chunk: Annotated[int, Field(ge=1, le=500)] = 500
    """Maximum recipients in a Kafka record."""
    fanout_range: Annotated[int, Field(ge=500, le=1_000_000)] = 50_000
    """Ordinals in one task of fan-out."""
    in_flight: Annotated[int, Field(ge=1, le=64)] = 16
    """Batches a lane may have in flight, or smaller slices with no more messages together
    (`pipeline.limits.rate.slots`): this bounds what a crash leaves unknown."""
    breaker_failures: Annotated[int, Field(ge=1, le=100)] = 5
    """Failed batches in a row after which no more is submitted to an aggregator until it answers again."""
    suspend_after: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds of an aggregator's outage after which campaigns that wait for it become suspended."""
    checkpoint_bytes: Annotated[int, Field(ge=100_000)] = 2_000_000
    """A lane checkpoints when its log since the last one passes this and twice its live size. Whoever has the lane
    next, or again, reads the log since then first."""


class ConsentRules(_Strict):
    """What a person's text is taken to mean beyond the account that it was sent to."""

    scope: Literal["account", "global"] = "account"
    """Whom a STOP by text opts out of: the account whose sender it was sent to, or every account."""


def _collector(url: str) -> str:
    if not url:
        return url
    parts = urlsplit(url)
    try:
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError("this is no address of an OTLP/HTTP collector (for instance http://127.0.0.1:4318)")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(
            "only scheme, host, port and path: what the collector wants to know of us beside that, for instance a "
            "key, goes into OTEL_EXPORTER_OTLP_HEADERS"
        )
    return url


class Tracing(_Strict):
    """Traces of sampled chunks, for a collector that takes OTLP over HTTP. Off by default."""

    endpoint: Annotated[str, AfterValidator(_collector)] = ""
    """Address of the collector, for instance http://127.0.0.1:4318; without a path it is /v1/traces there. "": no
    traces."""
    sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the chunks that are traced, the same chunks in all processes. 1: all; 0: no traces."""

    @property
    def is_on(self) -> bool:
        """Whether anything is traced."""
        return self.endpoint != "" and self.sample_rate > 0

    @property
    def url(self) -> str:
        """Where spans are posted."""
        return self.endpoint if urlsplit(self.endpoint).path.strip("/") else f"{self.endpoint.rstrip('/')}/v1/traces"


class Settings(BaseSettings):
    """The effective settings."""

    model_config = SettingsConfigDict(env_prefix="LONGWAVE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Path = Path(".longwave")
    """Where local processes keep their data and logs."""
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    api: Api = Api(port=18080)
    ingress: Ingress = Ingress(port=18081)
    aggregator: Listen = Listen(port=18090)
    """Where the simulated aggregator listens."""
    metrics_port: Annotated[int, Field(ge=4, le=65000)] = 18200
    """Worker i serves metrics on this port + i; the writer on port - 1, the API on - 2, the ingress on - 3."""
    metrics_host: str = "127.0.0.1"
    """The address on which processes serve metrics. Keep it to the machine or a private network: there is no key."""
    metrics_hosts: tuple[str, ...] = ()
    """Names with dots under which metrics may be asked for; addresses, `metrics_host` and names without a dot (of a
    network of containers) may always."""
    log_format: Literal["auto", "json", "text"] = "auto"
    """How processes log: `json`, an object a line; `text`, for people; `auto`, text on a terminal and else JSON."""
    token_key: SecretStr = SecretStr(LOCAL_TOKEN_KEY)
    """Key of the MAC in click tokens; set your own in production."""
    aggregators: dict[Name, AnyAggregator] = {"local": HttpBatchSettings(query_url="http://127.0.0.1:18090/v1/query")}
    worker: Worker = Worker()
    receipt_window_hours: Annotated[float, Field(gt=0, le=720)] = 72.0
    """A campaign is finished when all receipts are in, or when none has come for this long."""
    consent: ConsentRules = ConsentRules()
    smtp: Smtp = Smtp()
    webhooks: WebhookSettings = WebhookSettings()
    tracing: Tracing = Tracing()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, toml

    @model_validator(mode="after")
    def _passwords_of_the_local_endpoint(self) -> Settings:
        store = self.clickhouse
        if store.local is None and store.host in LOOPBACK and not store.secure:
            # The model is frozen for those who use it, not while it is made.
            object.__setattr__(self, "clickhouse", store.model_copy(update={"local": self.data / "clickhouse"}))
        return self

    @model_validator(mode="after")
    def _secrets_are_secret(self) -> Settings:
        wrong = [name for name, secret in self._secrets_in_use().items() if is_weak(secret.get_secret_value())]
        if wrong:
            variables = ", ".join(f"LONGWAVE_{name.replace('.', '__').upper()}" for name in wrong)
            raise ValueError(
                f"{' and '.join(wrong)}: still the published default, or shorter than {LEAST_SECRET} characters, "
                f"though {self._outside()}. Whoever has read our source could forge receipts, opt-outs and links. "
                f"Make one with `openssl rand -hex 32` and set it in longwave.toml or as {variables}"
            )
        return self

    def _secrets_in_use(self) -> dict[str, SecretStr]:
        """The secrets that people outside of this machine could try, by setting."""
        if not self._outside():
            return {}
        far = self.ingress.is_reached_from_outside()
        used = {
            f"aggregators.{name}.{setting}": secret
            for name, aggregator in self.aggregators.items()
            if far or not is_on_this_machine(aggregator.url)
            for setting, secret in aggregator.secrets().items()
        }
        return {"token_key": self.token_key, **used}

    def _outside(self) -> str:
        """What reaches beyond this machine, "" for the local stack."""
        for name, aggregator in self.aggregators.items():
            if not is_on_this_machine(aggregator.url):
                return f"aggregators.{name}.url is {aggregator.url}"
        return f"the ingress is reached at {self.ingress.url}" if self.ingress.is_reached_from_outside() else ""

    def is_local(self) -> bool:
        """Whether nothing reaches beyond this machine: the local stack."""
        return not self._outside()

    def simulated(self) -> dict[str, bool]:
        """Each aggregator, and whether it is this installation's simulated one, which reaches nobody."""
        return {name: entry.url.startswith(f"{self.aggregator.url}/") for name, entry in self.aggregators.items()}


def is_weak(secret: str) -> bool:
    """Whether a secret is no secret: published with our source, or too short."""
    return secret in _PUBLISHED or len(secret) < LEAST_SECRET


def _setting(place: tuple[int | str, ...]) -> str:
    """The name of the setting at a place of a validation error, which names the kind of an aggregator too."""
    parts = place[:2] + place[3:] if place[:1] == ("aggregators",) else place
    return ".".join(map(str, parts)) or "settings"


def config_file() -> Path:
    """The settings file: `$LONGWAVE_CONFIG`, else `longwave.toml` in the working directory (may be absent)."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))


def load() -> Settings:
    """Read the effective settings.

    Raises:
        SettingsError: the file is named but absent, is not TOML, or a value is wrong.
    """
    path = config_file()
    if CONFIG_VARIABLE in os.environ and not path.is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {path}, which does not exist")
    try:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{path} or a LONGWAVE_* variable is nested too deep: no setting is") from error
    except ValidationError as error:
        lines = [f"  {_setting(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise SettingsError(f"wrong settings in {path} or LONGWAVE_* variables:\n" + "\n".join(lines)) from error
