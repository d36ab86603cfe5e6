"""Errors of the API: one JSON shape for all, `{"error": text, "fields": [{"field", "error"}]}`, no tracebacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from adapters.errors import EmitError, StoreRefused, StoreUnavailable


class ApiError(Exception):
    """A refusal with its HTTP status. `fields` names what in the request is wrong, `more` is added to the JSON."""

    def __init__(
        self, status: int, text: str, *, fields: Sequence[dict[str, str]] = (), more: dict[str, Any] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.body: dict[str, Any] = {"error": text, "fields": list(fields), **(more or {})}


def field_errors(error: ValidationError | RequestValidationError) -> list[dict[str, str]]:
    """`[{"field": "messages.0.text", "error": …}]`; what pydantic says, in words of the campaign file."""
    return [
        {
            "field": ".".join(str(part) for part in e["loc"] if part not in ("body", "query", "path")),
            "error": _said(e),
        }
        for e in error.errors()
    ]


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown field: remove it or correct its name"
    if error["type"] == "missing":
        return "is missing"
    text: str = error["msg"]
    return text.removeprefix("Value error, ")


def _answer(status: int, body: dict[str, Any]) -> JSONResponse:
    headers = {"Retry-After": "2"} if status == 503 else None
    return JSONResponse(body, status, headers=headers)


def install(app: FastAPI) -> None:
    """Map every failure that can reach a route."""

    @app.exception_handler(ApiError)
    async def _refused(_: Request, error: ApiError) -> JSONResponse:
        return _answer(error.status, error.body)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = field_errors(error)
        text = "; ".join(f"{f['field'] or 'request'}: {f['error']}" for f in fields)
        return _answer(422, {"error": text, "fields": fields})

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        text = f"nothing at {request.url.path}; see /docs" if error.status_code == 404 else str(error.detail)
        return _answer(error.status_code, {"error": text, "fields": []})

    @app.exception_handler(EmitError)
    async def _kafka(_: Request, error: EmitError) -> JSONResponse:
        return _answer(503, {"error": f"{error}; nothing was changed for certain, try again", "fields": []})

    @app.exception_handler(StoreUnavailable)
    async def _store(_: Request, error: StoreUnavailable) -> JSONResponse:
        return _answer(503, {"error": f"ClickHouse cannot be reached: {error}; try again", "fields": []})

    @app.exception_handler(StoreRefused)
    async def _store_refused(_: Request, error: StoreRefused) -> JSONResponse:
        return _answer(500, {"error": f"ClickHouse refused: {error}", "fields": []})
