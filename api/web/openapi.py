"""The API's description: every reference resolves, and every answer that a route can give is in it."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.web.answers import ANSWERS, MODELS, STREAMS
from api.web.guard import SIGN_IN
from api.web.idempotency import HEADER
from schemas.campaign import CampaignSpec, DraftFile, DraftSpec
from schemas.json import JsonObject

_COMPONENTS: Final = "#/components/schemas/{model}"
PROBLEM: Final[JsonObject] = {
    "title": "Problem",
    "description": "Why a request was refused or failed. Some refusals add the campaign's `id` and `status`.",
    "type": "object",
    "required": ["error", "fields"],
    "properties": {
        "error": {"type": "string", "description": "what happened, what it means, what to do"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "error"],
                "properties": {"field": {"type": "string"}, "error": {"type": "string"}},
            },
        },
    },
}
_ALWAYS: Final = {
    "401": "no key, or one that does not hold",
    "403": "the key may not do that, or the host name or the origin of the request is not allowed",
    "429": "too many requests with this key, or too many wrong keys from this address; try again (Retry-After)",
    "500": "an internal error; the API's log has the details",
    "503": "Kafka or ClickHouse does not answer; try again (Retry-After)",
}
_WITH_BODY: Final = {"408": "the body did not arrive completely in time", "413": "the body is too large"}
_OF_CAMPAIGN: Final = {"404": "there is no such campaign"}
_CHANGING: Final = {"409": "not in this state, or the same request is still under way"}
_INVALID: Final = {"422": "a parameter, the body, or the Idempotency-Key is wrong; `fields` says which and how"}
_KEY: Final[JsonObject] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same key with the same request is carried out once; kept for 24 hours.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
}


def describe(app: FastAPI) -> JsonObject:
    """The description, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for body in (DraftSpec, CampaignSpec, DraftFile):
            campaign = body.model_json_schema(ref_template=_COMPONENTS)
            schemas.update(campaign.pop("$defs", {}))
            schemas[body.__name__] = campaign
        schemas["Problem"] = PROBLEM
        for name, model in MODELS.items():
            answer = model.model_json_schema(ref_template=_COMPONENTS)
            schemas.update(answer.pop("$defs", {}))
            schemas[name] = answer
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                _complete(path, method, operation)
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
        app.openapi_schema = made
    return app.openapi_schema


def _complete(path: str, method: str, operation: JsonObject) -> None:
    said = {**_ALWAYS, **_INVALID}
    if "{" in path:
        said |= {"404": "there is nothing of that name"}
    if method != "get":
        said |= {**_WITH_BODY, **_CHANGING}
    if method == "put":
        said |= {"412": "changed since the ETag that If-Match names"}
    if path.startswith("/v1/campaigns/"):
        said |= {**_OF_CAMPAIGN, **_CHANGING}
    if not path.startswith("/v1/") or (method, path) == ("post", SIGN_IN):
        operation["security"] = []
    if method == "post":
        operation.setdefault("parameters", []).append(_KEY)
    if (method, path) in STREAMS:
        operation["responses"]["200"] = {"description": "a stream", "content": STREAMS[method, path]}
    for status, model in ANSWERS.get((method, path), {}).items():
        schema = {"$ref": _COMPONENTS.format(model=model.__name__)}
        meaning = (model.__doc__ or "").strip()
        operation["responses"][status] = {"description": meaning, "content": {"application/json": {"schema": schema}}}
    problem = {"application/json": {"schema": {"$ref": _COMPONENTS.format(model="Problem")}}}
    for status, meaning in said.items():
        operation["responses"][status] = {"description": meaning, "content": problem}


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods of the route that fits a path most closely, [] where none does: the page's files are no routes."""
    paths: dict[str, JsonObject] = describe(app)["paths"]
    fitting = [template for template in paths if _fits(template, path)]
    if not fitting:
        return []
    methods = {method.upper() for method in paths[min(fitting, key=lambda template: template.count("{"))]}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    pairs = zip(parts, given, strict=False)
    return len(parts) == len(given) and all(part.startswith("{") or part == piece for part, piece in pairs)
