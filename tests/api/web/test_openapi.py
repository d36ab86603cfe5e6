"""The API's description resolves, and names every failure of every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from adapters.settings import Settings
from api.server import create_app
from api.web.errors import ApiError


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_every_reference_resolves(described: dict[str, Any]) -> None:
    actual = set(_references(described))
    assert "#/components/schemas/Problem" in actual
    for reference in actual:
        assert reference.startswith("#/"), reference
        place: Any = described
        for part in reference[2:].split("/"):
            place = place[part]


def test_every_route_types_its_answers_and_names_its_failures_with_the_problem_schema(
    described: dict[str, Any],
) -> None:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            wanted = {"403", "422", "500", "503"} | ({"408", "409", "413"} if method != "get" else set())
            assert wanted <= set(answers), (path, method)
            for status in set(answers) & {"200", "201", "202"}:
                for form in answers[status]["content"].values():
                    schema = form["schema"]
                    assert "$ref" in schema or schema["type"] == "string", (path, method, "no type")
            for status in set(answers) - {"200", "201", "202"}:
                schema = answers[status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
            if method == "post":
                assert any(item["name"] == "Idempotency-Key" for item in operation["parameters"])


def test_a_refusal_is_a_problem(described: dict[str, Any]) -> None:
    problem = described["components"]["schemas"]["Problem"]
    jsonschema_rs.validate(problem, ApiError(409, "no", fields=[{"field": "a", "error": "b"}], more={"id": "x"}).body)
    assert not jsonschema_rs.is_valid(problem, {"detail": "no"})
