"""Finds the unknown messages of a campaign that an operator resolves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse import Store
from adapters.clickhouse.export import export
from api.services import definition_of
from api.web.errors import ApiError
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.actions import is_allowed
from pipeline.campaign.resolving import not_resolvable
from schemas.campaign import CampaignDocument, Resolution, Verdict
from schemas.selection import Selection

LIMIT = 50_000
"""Recipients that one command resolves; it travels through Kafka as one record."""
_SHOWN = 5
_EXPORTED = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164, as the export writes it."""


class ResolveBody(BaseModel):
    """Body of the request: `resend` is `not-sent` and a draft to just those."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    outcome: Annotated[Literal["sent", "not-sent", "resend"], Field(alias="as")]
    numbers: list[str] | None = None
    """Only these numbers; None: all unknown ones."""
    by: Annotated[str, Field(min_length=1, max_length=100)] = "api"
    """Who decided; kept with the decision."""

    @property
    def verdict(self) -> Verdict:
        return "sent" if self.outcome == "sent" else "not-sent"


def resolutions(store: Store, document: CampaignDocument, body: ResolveBody) -> list[Resolution]:
    """The resolutions of a request, one per message; only recipients that are unknown now are in them.

    Raises:
        ApiError: 409 nothing to resolve or not yet or too many, 422 a number that is none or is not unknown.
        StoreError: ClickHouse does not answer.
    """
    if not is_allowed("resolve", document.status):
        raise ApiError(409, not_resolvable(document))
    wanted = None if body.numbers is None else wanted_numbers(body.numbers)
    resolved = [
        _resolution(body.verdict, message, table)
        for message in range(len(definition_of(document).messages))
        for table in _unknown(store, document.id, message, wanted)
    ]
    count = sum(len(numbers_of_message.ordinals) for numbers_of_message in resolved)
    if wanted is not None:
        _check_all_unknown(document.id, wanted, resolved)
    if not count:
        raise ApiError(409, f"campaign {document.id} has no unknown messages, so there is nothing to resolve")
    if count > LIMIT:
        raise ApiError(
            409,
            f"campaign {document.id}: {count:,} messages are unknown, at most {LIMIT:,} are resolved at once; export "
            f"them (`longwave campaign export {document.id} --state unknown --out FILE.csv`) and give them in parts "
            f"(`longwave campaign resolve {document.id} --as {body.outcome} --numbers PART.csv`)",
        )
    return resolved


def _unknown(store: Store, campaign: str, message: int, wanted: list[int] | None) -> Iterator[pa.Table]:
    for batch in export(store, campaign, message, Selection(states=("unknown",))):
        table = pa.Table.from_batches([batch])
        if not table.num_rows:
            continue
        if wanted is not None:
            table = table.filter(pc.is_in(table["number"], pa.array(wanted, table["number"].type)))
        if table.num_rows:
            yield table


def _resolution(verdict: Verdict, message: int, table: pa.Table) -> Resolution:
    return Resolution(
        verdict=verdict,
        message=message,
        ordinals=_column(table, "ordinal"),
        numbers=_column(table, "number"),
        segments=_column(table, "segments"),
        prices=_column(table, "price"),
    )


def _column(table: pa.Table, name: str) -> list[int]:
    values: list[int] = table[name].to_numpy().tolist()
    return values


def wanted_numbers(typed: Sequence[str]) -> list[int]:
    """The numbers that were typed, each once.

    Raises:
        ApiError: 422 neither a valid number nor one as the export writes it.
    """
    taken, refused = typed_numbers(tuple(typed))
    numbers = list(taken.numbers)
    for text, reason in refused:
        # Numbering plans change: a number of the campaign counts as its export writes it, valid today or not.
        if not _EXPORTED.fullmatch(text):
            raise ApiError(422, f"numbers: {text!r}: {reason}; write each with its country, as +12125550123")
        numbers.append(int(text))
    return list(dict.fromkeys(numbers))


def _check_all_unknown(campaign: str, wanted: Sequence[int], resolved: Sequence[Resolution]) -> None:
    unknown = {number for part in resolved for number in part.numbers}
    others = [f"+{number}" for number in wanted if number not in unknown]
    if others:
        shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        raise ApiError(
            422,
            f"numbers: {len(others):,} of {len(wanted):,} are not unknown in campaign {campaign}: {shown}; take them "
            f"out (`longwave campaign export {campaign} --state unknown --out FILE.csv` lists who is)",
        )
