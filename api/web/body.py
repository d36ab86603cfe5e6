"""The campaign in a request: JSON, or the TOML file as a person wrote it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from pydantic import ValidationError

from adapters.clock import now_ms
from api.web.refusal import ApiError, field_errors
from pipeline.campaign.completeness import Missing, complete, in_one_line
from schemas.campaign import CampaignSpec, DraftSpec
from schemas.json import JsonObject

if TYPE_CHECKING:
    from fastapi import Request

Draft = TypeVar("Draft", bound=DraftSpec)
AHEAD: Final = timedelta(days=731)
"""How far ahead a campaign may be sent: a year that was mistyped would wait for ever."""
DEEPEST: Final = 16
"""Levels of tables and arrays; a campaign has five."""
_DEEP: Final = f"nested more than {DEEPEST} levels deep, which no document here is"
_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED: Final = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{_KEY}[ \t]*\.[ \t]*){{{DEEPEST}}}", re.MULTILINE)
"""A dotted key of more parts than `DEEPEST`. Looked for before the text is parsed: tomllib takes time in the square
of a key's parts, hours for one that fills a body."""


def _body_of(model: str) -> JsonObject:
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}},
                "application/toml": {"schema": {"type": "string", "description": "a campaign file"}},
            },
        }
    }


SPEC_BODY: Final = _body_of("CampaignSpec")
"""What OpenAPI says of a request with a complete campaign."""
DRAFT_BODY: Final = _body_of("DraftSpec")
"""The same of a draft."""
FILE_BODY: Final = _body_of("DraftFile")
"""The same of a file that says which campaign it is."""


async def spec_of(request: Request) -> CampaignSpec:
    """The checked `CampaignSpec` of a request.

    Raises:
        ApiError: 422 not JSON/TOML (with the line), not a campaign (with each field), or incomplete (with each thing
            that is missing).
    """
    return completed(await draft_of(request))


async def draft_of(request: Request) -> DraftSpec:
    """The checked `DraftSpec` of a request.

    Raises:
        ApiError: 422 not JSON/TOML (with the line) or not a campaign (with each field).
    """
    return checked(await document_of(request), now_ms())


async def document_of(request: Request) -> JsonObject:
    """The tables of a request's body, JSON or TOML.

    Raises:
        ApiError: 422 not JSON/TOML (with the line), or no table.
    """
    raw = await request.body()
    return document(raw, toml="toml" in request.headers.get("content-type", ""))


def document(raw: bytes, *, toml: bool) -> JsonObject:
    """The tables of JSON or TOML (see `document_of`)."""
    value = _toml(raw) if toml else _json(raw)
    if _is_too_deep(value):
        raise ApiError(422, _DEEP)
    if not isinstance(value, dict):
        what = "is no table: {…}"
        raise ApiError(422, f"the body {what}", fields=[{"field": "", "error": what}])
    return value


def parse(raw: bytes, *, toml: bool) -> CampaignSpec:
    """Parse and check (see `spec_of`)."""
    return completed(checked(document(raw, toml=toml), now_ms()))


def completed(draft: DraftSpec) -> CampaignSpec:
    """The campaign that a draft is.

    Raises:
        ApiError: 422 it is incomplete; with each thing that is missing.
    """
    spec = complete(draft)
    if isinstance(spec, tuple):
        raise ApiError(422, in_one_line(spec), fields=missing_fields(spec))
    return spec


def missing_fields(missing: Iterable[Missing]) -> list[dict[str, str]]:
    """What is missing, as the `fields` of a refusal."""
    return [{"field": part.where, "error": f"{part.what}: {part.fix}"} for part in missing]


def checked(value: Any, now: int) -> DraftSpec:
    """The draft that plain values say, written at `now` (ms).

    Raises:
        ApiError: 422 it is none, or is to be sent in years; with each field.
    """
    return checked_as(DraftSpec, value, now)


def checked_as(model: type[Draft], value: Any, now: int) -> Draft:
    """`checked`, of a kind of draft."""
    try:
        spec = model.model_validate(value)
    except ValidationError as error:
        raise _refused(field_errors(error)) from error
    latest = datetime.fromtimestamp(now / 1000, UTC) + AHEAD
    late = {name: at for name in ("send_at", "deadline") if (at := getattr(spec, name)) is not None}
    problem = f"is more than two years ahead (after {latest:%Y-%m-%d}): is the year right?"
    wrong = [
        {"field": name, "error": f"{at.isoformat()} {problem}"}
        for name, at in late.items()
        if at.replace(tzinfo=at.tzinfo or UTC) > latest
    ]
    if wrong:
        raise _refused(wrong)
    return spec


def _refused(fields: list[dict[str, str]]) -> ApiError:
    text = "; ".join(f"{f['field'] or 'campaign'}: {f['error']}" for f in fields)
    return ApiError(422, text, fields=fields)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _toml(raw: bytes) -> JsonObject:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ApiError(422, f"not UTF-8 text (line {line}); save it as UTF-8") from error
    if _DOTTED.search(text):
        raise ApiError(422, _DEEP)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The end is where the parser noticed; people look for a line.
        last = raw.rstrip().count(b"\n") + 1
        said = str(error).replace("at end of document", f"at the end, line {last}")
        raise ApiError(422, f"not valid TOML: {said}") from error
    except RecursionError as error:
        raise ApiError(422, _DEEP) from error
    except ValueError as error:
        # What is TOML by its grammar and no value: a number of a million digits, the 31st of February.
        raise ApiError(422, f"not valid TOML: {error}") from error


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(422, f"not valid JSON: {error}") from error
