"""The campaign in a request: JSON, or the TOML file as a person wrote it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from api.refusal import ApiError, field_errors
from schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from fastapi import Request

SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CampaignSpec.model_json_schema()},
            "application/toml": {"schema": {"type": "string", "description": "a campaign file"}},
        },
    }
}
"""What OpenAPI says of such a request."""


async def spec_of(request: Request) -> CampaignSpec:
    """The checked `CampaignSpec` of a request.

    Raises:
        ApiError: 422 not JSON/TOML (with the line) or not a campaign (with each field).
    """
    raw = await request.body()
    toml = "toml" in request.headers.get("content-type", "")
    return parse(raw, toml=toml)


def parse(raw: bytes, *, toml: bool) -> CampaignSpec:
    """Parse and check (see `spec_of`)."""
    value = _toml(raw) if toml else _json(raw)
    try:
        return CampaignSpec.model_validate(value)
    except ValidationError as error:
        fields = field_errors(error)
        text = "; ".join(f"{f['field'] or 'campaign'}: {f['error']}" for f in fields)
        raise ApiError(422, text, fields=fields) from error


def _toml(raw: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ApiError(422, f"not UTF-8 text (line {line}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        # The end is where the parser noticed; people look for a line.
        last = raw.rstrip().count(b"\n") + 1
        said = str(error).replace("at end of document", f"at the end, line {last}")
        raise ApiError(422, f"not valid TOML: {said}") from error


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(422, f"not valid JSON: {error}") from error
