"""Routes of one contact: what is stored about a number, and its erasure."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse.person import person
from adapters.clock import now_ms
from adapters.kafka.consents import emit_consent
from api.services import Services, services
from api.web.caller import caller
from api.web.numbers import number_of
from schemas import topics
from schemas.feedback import Consent, Erasure
from schemas.json import JsonObject
from schemas.times import iso_of, iso_or_none
from schemas.wire import encode

router = APIRouter(prefix="/v1", tags=["contacts"])
Shared = Annotated[Services, Depends(services)]
STAYS = (
    "consents with their evidence, which prove that the number was not written to against its will",
    "the number and the merge fields in frozen audiences, from which campaigns are accounted for",
    "records in Kafka, until their topics delete them (7 days)",
)


class EraseBody(BaseModel):
    """Who asked for an erasure, and how."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    """Kept with the opt-out."""
    who: Annotated[str, Field(max_length=100)] = ""
    """The operator who does it."""


@router.get("/contacts/{number}")
async def show(number: str, shared: Shared) -> JsonObject:
    """Everything that is stored about a number; as ClickHouse has it, a second behind Kafka."""
    _check_caller()
    contact = await asyncio.to_thread(person, shared.figures.store, number_of(number))
    return dict(_plain(contact))


@router.delete("/contacts/{number}")
async def erase(number: str, body: EraseBody, shared: Shared) -> JsonObject:
    """Erase what is stored about a number, and opt it out of every account: nothing more goes to it, campaigns under
    way included, and an import that brings it back does not change that. `stays` says what is kept and why. The
    answer comes when Kafka has acknowledged all of it; ClickHouse follows in a second."""
    _check_caller()
    digits = number_of(number)
    shared.check_kafka("erased")
    now = now_ms()
    out = Consent(number=digits, state="out", at=now, source="erasure", evidence=body.evidence, who=body.who)
    await emit_consent(shared.producer, out)
    record = Erasure(number=digits, at=now, who=body.who)
    key = str(digits).encode()
    await shared.producer.emit(topics.INBOUND.name, encode(record), key=key)
    # Compacted: without this it would keep for ever what carriers said of the number.
    await shared.producer.emit(topics.UNREACHABLE.name, None, key=key)
    return {"erased": f"+{digits}", "stays": list(STAYS)}


def _check_caller() -> None:
    caller().check_every_account("contacts")
    caller().check_numbers("contacts")


def _plain(value: Any) -> Any:
    """Times as ISO 8601; statuses have theirs in ms."""
    if isinstance(value, dict):
        return {
            key: iso_or_none(item) if key == "at" and isinstance(item, int) else _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return iso_of(value) if isinstance(value, datetime) else value
