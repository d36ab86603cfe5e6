"""What the simulated aggregator does: a TOML file, checked strictly. Every rate is a share of messages or requests.

Draws are made with a generator seeded by (seed, place in the record), so what happens after a message was taken
(receipt, clicks, reply) is the same each time the record is read, a restart included.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adapters.errors import LongwaveError

Ending = Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=604_800)]

RejectCode = Literal["30003", "30005", "30006", "30007", "21610", "21614"]
FailureCode = Literal["30003", "30005", "30006", "30007", "30008"]
REJECT_CODES: Final[tuple[RejectCode, ...]] = ("30003", "30005", "30006", "30007", "21610", "21614")
"""Unreachable, unknown, landline, filtered, opted out, not a mobile."""


class ScriptError(LongwaveError):
    """A wrong script; the text is for the user."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Delay(_Strict):
    """Seconds: `median` itself when `sigma` is 0, else lognormal with that median; never below `least`."""

    median: Seconds = 0.0
    sigma: Annotated[float, Field(ge=0, le=5)] = 0.0
    least: Seconds = 0.0


class Throttle(_Strict):
    """How it refuses for being too fast. `answer` is "batch" (429 for all) or "message" (for the overflow)."""

    rate: Share = 0.0
    """Requests throttled whatever the speed."""
    segments_per_second: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    """0: no limit. A token bucket that holds `burst` seconds."""
    burst: Annotated[float, Field(gt=0, le=60)] = 1.0
    answer: Literal["batch", "message"] = "message"
    retry_after: Annotated[float, Field(ge=0, le=3600)] = 1.0


class Faults(_Strict):
    """Requests answered with 500, or whose connection is reset; `processed` of them after the messages were taken."""

    server_error: Share = 0.0
    reset: Share = 0.0
    processed: Share = 0.5


class Outage(_Strict):
    """From `start` seconds after the server began, for `duration`: 503, connection reset, or no answer at all."""

    start: Seconds
    duration: Seconds
    kind: Literal["503", "reset", "silent"] = "503"


class Query(_Strict):
    """What it says when it is asked what became of messages (POST /v1/query)."""

    enabled: bool = True
    """If not, the address answers 404."""
    cannot_tell: Share = 0.0
    """Ids of which it has no record anymore, whatever became of them; always the same ones."""


class Receipts(_Strict):
    """Delivery receipts of accepted messages."""

    delay: Delay = Delay(median=2.0, sigma=0.6, least=0.1)
    delivered: Share = 0.94
    reasons: dict[FailureCode, Annotated[float, Field(gt=0)]] = {"30003": 5, "30005": 2, "30007": 2, "30008": 1}
    """Weights of the codes of what is not delivered."""
    repeated: Share = 0.0
    """Receipts sent twice."""

    @model_validator(mode="after")
    def _has_reasons(self) -> Receipts:
        if self.delivered < 1 and not self.reasons:
            raise ValueError("delivered is below 1: give at least one code in reasons")
        return self


class Clicks(_Strict):
    """Who follows the short link of a delivered message."""

    people: Share = 0.0
    delay: Delay = Delay(median=20.0, sigma=1.0, least=2.0)
    bots: Share = 0.0
    """Link previews: at once, some with HEAD, with a user agent that says so."""

    @model_validator(mode="after")
    def _people_take_their_time(self) -> Clicks:
        if self.delay.least < 2.0:
            raise ValueError("delay.least: a person needs at least 2 s (what is faster counts as a scanner)")
        return self


class Replies(_Strict):
    """Texts that people send back."""

    stop: Share = 0.0
    other: Share = 0.0
    delay: Delay = Delay(median=15.0, sigma=0.8, least=1.0)
    stop_texts: Annotated[tuple[str, ...], Field(min_length=1)] = ("STOP", "Stop.", "stop please", "UNSUBSCRIBE")
    other_texts: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "Thanks!",
        "Who is this?",
        "do you ship abroad?",
    )
    robots: Share = 0.0
    """Numbers, by their last three digits, behind which a machine answers everything that it gets."""
    robot_texts: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "I am driving and cannot answer. Ref {id}",
        "I am driving and cannot answer.",
    )
    """Which one, by the number; `{id}` is the message that it answers, so that no two of them are the same."""

    def is_robot(self, number: str) -> bool:
        return self.robots > 0 and int(number[-3:]) < 1000 * self.robots


class Script(_Strict):
    """Everything the simulated aggregator does. The default accepts all at once and says nothing back."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 1
    idempotency_keys: bool = True
    """A repeated id is answered as the first time and is no second delivery; the record has such repeats as hits."""
    query: Query = Query()
    latency: Delay = Delay()
    """Between the record on disk and the answer."""
    errors: dict[RejectCode, Share] = {}
    rejected_endings: dict[Ending, RejectCode] = {}
    """Last digits of numbers that are rejected every time, whatever else is drawn."""
    undelivered_endings: dict[Ending, FailureCode] = {}
    """Last digits of numbers whose receipt always says that they were not reached."""
    throttle: Throttle = Throttle()
    faults: Faults = Faults()
    outages: tuple[Outage, ...] = ()
    receipts: Receipts | Literal[False] = False
    clicks: Clicks = Clicks()
    replies: Replies = Replies()
    callbacks_per_second: Annotated[float, Field(gt=0, le=1e6)] = 20_000.0
    """Receipts, texts and clicks together, at most."""

    @model_validator(mode="after")
    def _adds_up(self) -> Script:
        if sum(self.errors.values()) > 1:
            raise ValueError("errors: the rates add up to more than 1")
        if self.faults.server_error + self.faults.reset > 1:
            raise ValueError("faults: the rates add up to more than 1")
        if self.replies.stop + self.replies.other > 1:
            raise ValueError("replies: the rates add up to more than 1")
        return self

    @property
    def calls_back(self) -> bool:
        """Whether anything at all goes to the ingress."""
        talks = self.clicks.people + self.clicks.bots + self.replies.stop + self.replies.other
        talks += self.replies.robots
        return bool(self.receipts) or talks > 0


Code = TypeVar("Code", RejectCode, FailureCode)


def by_ending(endings: Mapping[str, Code], number: str) -> Code | None:
    """The code of the longest ending that fits a number."""
    fitting = [ending for ending in endings if number.endswith(ending)]
    return endings[max(fitting, key=len)] if fitting else None


def read_script(path: Path) -> Script:
    """The script in a TOML file.

    Raises:
        ScriptError: no such file, not TOML, or a wrong value; says which.
    """
    try:
        return Script.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ScriptError(f"cannot read the script {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise ScriptError(f"{path} is nested too deep: no script is") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'script'}: {e['msg']}" for e in error.errors()]
        raise ScriptError(f"wrong script {path}:\n" + "\n".join(lines)) from error
