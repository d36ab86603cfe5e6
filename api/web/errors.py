"""Errors of the API: one JSON shape for all, `{"error": text, "fields": [{"field", "error"}]}`, no tracebacks."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import EmitError, StoreRefused, StoreUnavailable
from api.web.openapi import methods_at
from api.web.refusal import ApiError, field_errors
from schemas.campaign import UnreadableSpec
from schemas.json import JsonObject

log = logging.getLogger(__name__)
__all__ = ["ApiError", "field_errors", "install"]


def _answer(status: int, body: JsonObject) -> JSONResponse:
    headers = {"Retry-After": "2"} if status in (429, 503) else None
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
        path, allowed = request.url.path, methods_at(request.app, request.url.path)
        if error.status_code == 400:
            # The framework says so of a body that is no text or nested too deep; of one that is no JSON it says 422.
            return _answer(422, {"error": "the body is not JSON in UTF-8, or is nested too deep", "fields": []})
        if error.status_code == 404 and allowed and request.method not in allowed:
            # The page's files, which take every path, have not found it: they know nothing of routes.
            answer = _answer(405, {"error": f"only {', '.join(allowed)} at {path}; see /docs", "fields": []})
        else:
            text = f"nothing at {path}; see /docs" if error.status_code == 404 else str(error.detail)
            answer = _answer(error.status_code, {"error": text, "fields": []})
        if answer.status_code == 405:
            answer.headers["Allow"] = ", ".join(allowed or ["GET", "HEAD"])
        return answer

    @app.exception_handler(UnreadableSpec)
    async def _unreadable(_: Request, error: UnreadableSpec) -> JSONResponse:
        return _answer(422, {"error": str(error), "fields": []})

    @app.exception_handler(Exception)
    async def _defect(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(
            500,
            {"error": "an internal error of Longwave, not of your request; its log has the details", "fields": []},
        )

    @app.exception_handler(EmitError)
    async def _kafka(_: Request, error: EmitError) -> JSONResponse:
        log.warning("Kafka did not acknowledge: %s", error)
        text = "Kafka did not acknowledge, so the change may or may not have been made; check, then try again"
        return _answer(503, {"error": text, "fields": []})

    @app.exception_handler(StoreUnavailable)
    async def _store(_: Request, error: StoreUnavailable) -> JSONResponse:
        log.warning("ClickHouse cannot be reached: %s", error)
        return _answer(503, {"error": "ClickHouse cannot be reached; try again", "fields": []})

    @app.exception_handler(StoreRefused)
    async def _store_refused(_: Request, error: StoreRefused) -> JSONResponse:
        log.error("ClickHouse refused: %s", error)
        return _answer(500, {"error": "ClickHouse refused the query; the API's log has the details", "fields": []})
