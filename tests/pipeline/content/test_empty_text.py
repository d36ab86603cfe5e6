"""A text that would say nothing apart from the site's name is found, and no other."""

from __future__ import annotations

import pytest

from pipeline.content.empty_text import empty_text_check
from pipeline.content.render import compile_template
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from tests.pipeline.campaigns import NOW, plan
from tests.pipeline.eligibility.test_decide import chunk, states

SITE = "Harbor & Pine"
STOP = "Reply STOP to opt out"


@pytest.mark.parametrize(
    ("text", "values", "empty"),
    [
        ("{first_name}", ["Ann", "", " "], [False, True, True]),
        ("{first_name}!", ["Ann", ""], [False, True]),
        ("{first_name} {first_name|}", ["", "…"], [True, True]),
        ("HARBOR & PINE: {first_name}", ["", "Ann"], [True, False]),
        ("{first_name} reply stop to opt out", ["", "Ann"], [True, False]),
        ("{first_name}", ["👋", "1", "\u200b", "姓"], [False, False, True, False]),
    ],
)
def test_recipients_who_would_get_an_empty_text(text: str, values: list[str], empty: list[bool]) -> None:
    check = empty_text_check(compile_template(text), SITE, STOP)
    assert check is not None
    assert check.are_empty({"first_name": values}, len(values)).tolist() == empty


@pytest.mark.parametrize("text", ["Hi {first_name}", "{first_name|you}", "{link}", "{opt_out} {first_name}", "Sale"])
def test_where_nobodys_text_can_be_empty_nothing_is_checked(text: str) -> None:
    assert empty_text_check(compile_template(text), SITE, STOP) is None


def test_the_bare_site_name_is_never_sent() -> None:
    people = chunk(3, 0, fields={"first_name": ["", "Ann", " "]})
    decision = decide(people, plan(text="{first_name}", opt_out_language=STOP), {}, OptOuts(), NOW)
    assert states(decision) == {0: "skipped empty_text", 1: "work", 2: "skipped empty_text"}


def test_a_value_that_makes_a_text_too_long_is_skipped_and_costs_nobody_else() -> None:
    people = chunk(3, 0, fields={"first_name": ["x" * 5000, "Ann", "x" * (6 * 153 - 18)]})
    decision = decide(people, plan(text="Hi {first_name}"), {}, OptOuts(), NOW)
    assert states(decision) == {0: "skipped too_many_segments", 1: "work", 2: "work"}
    assert sorted(decision.work[0][1].segments) == [1, 6]
