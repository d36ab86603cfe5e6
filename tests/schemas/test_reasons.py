"""The closed list of reasons: each has its meaning, and no other code writes one of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.carrier_codes import CODES, reason_of_code
from schemas.reasons import MEANINGS, Reason, in_words, is_reason, of_kind, reasons_markdown, split, written
from schemas.states import EVENTS, STATES
from schemas.succession import EVENTS as ALL_EVENTS
from schemas.succession import SHOWN

ROOT = Path(__file__).parents[2]
CODE = ("schemas", "pipeline", "adapters", "agents", "api", "cli", "simulation")
POSITIONS = {"SubmitOutcome": 1, "Part": 3, "same": 2, "Limit": 0, "result_without_answer": 2}
"""Where these take a reason without its name."""
ELSEWHERE = {
    "opted_out": "an event",
    "unknown_zone": "a setting",
    "quiet_hours": "a setting, and what binds a forecast",
    "premium_rate": "a type of number",
    "not_seen": "a status of the HTTP batch protocol",
}
"""Values with an underscore that name something else too."""


def files() -> Iterator[Path]:
    for package in CODE:
        yield from sorted((ROOT / package).rglob("*.py"))


def literals(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value:
            yield inner.value


def reasons_given(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that are reasons, but for those that the closed list has made (`written(…)`)."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    position = POSITIONS.get(name)
    given = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    if position is not None:
        given += call.args[position : position + 1]
    for item in given:
        made = isinstance(item, ast.Call) and getattr(item.func, "id", "") in ("written", "_waits", "reason_of_code")
        if not made:
            yield item


@pytest.mark.parametrize("package", CODE)
def test_no_reason_is_a_literal_where_it_is_written(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {text!r}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for given in reasons_given(node)
        for text in literals(given)
    ]
    assert not wrong


def test_no_other_module_spells_a_reason() -> None:
    spelled = {str(reason) for reason in Reason if "_" in reason} - ELSEWHERE.keys()
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value!r}"
        for path in files()
        if path.name != "reasons.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in spelled
    ]
    assert not wrong


def test_each_reason_has_a_meaning_in_the_order_of_the_list() -> None:
    assert list(MEANINGS) == list(Reason)
    for reason, meaning in MEANINGS.items():
        assert reason == reason.lower()
        assert meaning.sentence, reason
        assert not meaning.sentence.endswith("."), reason
        assert ("{detail}" in meaning.sentence) <= bool(meaning.detail), reason


def test_states_of_recipients_are_states() -> None:
    assert {state for reason in of_kind("recipient") for state in MEANINGS[reason].states} <= set(SHOWN)
    assert set(STATES) == set(SHOWN)
    assert set(EVENTS) == set(ALL_EVENTS)


@pytest.mark.parametrize(
    ("text", "taken_apart", "words"),
    [
        ("quiet_hours", (Reason.QUIET_HOURS, ""), "quiet hours: no message at that local time"),
        ("http:503", (Reason.HTTP, "503"), "the aggregator answered with HTTP status 503"),
        ("waiting_for_aggregator:a: dns", (Reason.WAITING_FOR_AGGREGATOR, "a: dns"), "waiting for aggregator a: dns"),
        ("", (None, ""), ""),
        ("made up", (None, ""), "made up"),
        ("code:{x}", (Reason.CODE, "{x}"), "code {x} of the aggregator"),
    ],
)  # fmt: skip
def test_a_stored_reason_is_split_and_shown_in_words(text: str, taken_apart: object, words: str) -> None:
    assert split(text) == taken_apart
    assert in_words(text) == words


def test_only_what_has_its_form_is_a_reason() -> None:
    assert is_reason("deadline")
    assert is_reason(written(Reason.HTTP, "500"))
    assert not any(map(is_reason, ["", "http", "http:", "deadline:now", "http-500", "too-late", "30006"]))
    assert written(Reason.CANNOT_RENDER, "é\n" * 300) == "cannot_render:" + "_" * 200


@pytest.mark.parametrize(
    "code", ["30006", " 30006", "30006 ", "\t30006\n", "30006.0", "30006.00", "30006\0", "Landline "]
)
def test_blanks_and_decimals_of_a_code_do_not_matter(code: str) -> None:
    assert reason_of_code(code) == Reason.LANDLINE


def test_codes_of_carriers_give_reasons_of_failures() -> None:
    assert all(set(MEANINGS[reason].states) == {"rejected", "undelivered"} for reason in CODES.values())
    assert all(is_reason(reason_of_code(code)) for code in ("30006", "landline", "99", "a b", "x" * 99))


def test_the_table_of_the_docs_has_every_reason() -> None:
    table = reasons_markdown()
    assert all(f"| `{reason}" in table for reason in Reason)
