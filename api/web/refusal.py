"""Refusals of the API, and pydantic's errors in the words of the campaign file; no web framework needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from schemas.json import JsonObject

if TYPE_CHECKING:
    from fastapi.exceptions import RequestValidationError


class ApiError(Exception):
    """A refusal with its HTTP status. `fields` names what in the request is wrong, `more` is added to the JSON."""

    def __init__(
        self, status: int, text: str, *, fields: Sequence[dict[str, str]] = (), more: JsonObject | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.body: JsonObject = {"error": text, "fields": list(fields), **(more or {})}


def field_errors(error: ValidationError | RequestValidationError) -> list[dict[str, str]]:
    """`[{"field": "messages.0.text", "error": …}]`; what pydantic says, in words of the campaign file."""
    return [
        {
            "field": _shown(".".join(str(part) for part in e["loc"] if part not in ("body", "query", "path"))),
            "error": _shown(_said(e)),
        }
        for e in error.errors()
    ]


def _shown(text: str) -> str:
    # Python strings may hold half a surrogate pair, which JSON cannot.
    return text[:500].encode("utf-8", "replace").decode()


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown field: remove it or correct its name"
    if error["type"] == "missing":
        return "is missing"
    text: str = error["msg"]
    return text.removeprefix("Value error, ")
