"""A campaign as a file reads back as it was, and what differs is named field by field."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.campaign.file import FieldChange, changes, file_of, toml_of
from schemas.campaign import DraftFile, DraftSpec, stored

ID = "0000000a"
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,9}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20).filter(str.strip)
texts = st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t\"'\\#"), max_size=40)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.sampled_from([None, UTC]))  # noqa: DTZ001 - naive bounds are asked for


def drafts() -> st.SearchStrategy[DraftSpec]:
    links = st.dictionaries(names, st.sampled_from(["https://x.example", "https://y.example/a?b=%20#c"]), max_size=3)
    message = st.fixed_dictionaries({}, optional={"text": texts, "links": links})
    lists = st.lists(names, max_size=8, unique=True)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "key": names,
        "tags": st.lists(lines, max_size=8),
        "account": names,
        "audience": st.fixed_dictionaries({}, optional={"lists": lists, "numbers": st.lists(lines, max_size=8)}),
        "messages": st.lists(message, max_size=1),
        "send_at": moments,
        "deadline": moments,
        "smart_sending_hours": st.integers(0, 168),
        "unknown": st.sampled_from(["skip", "resend"]),
        "transactional": st.booleans(),
        "weight": st.integers(1, 100),
        "opt_out_language": lines,
    }
    return st.fixed_dictionaries({"name": lines}, optional=fields).map(DraftSpec.model_validate)


@given(drafts())
def test_what_is_written_reads_back_as_it_was_and_changes_nothing(draft: DraftSpec) -> None:
    file = DraftFile.model_validate(tomllib.loads(toml_of(file_of(ID, draft))))
    assert (file.key, file.id) == (draft.key, None if draft.key else ID)
    assert file.spec() == draft
    assert DraftSpec.model_validate(tomllib.loads(toml_of(draft))) == draft
    assert changes(stored(draft), stored(file.spec())) == []


@given(drafts(), drafts())
def test_two_differ_exactly_where_a_change_is_named(one: DraftSpec, other: DraftSpec) -> None:
    assert (changes(stored(one), stored(other)) == []) == (one == other)


def test_a_file_shows_only_what_was_set_with_a_line_for_each_of_many_items() -> None:
    draft = DraftSpec.model_validate({
        "name": 'Say "hi"', "audience": {"lists": ["a"], "numbers": [f"+1212555010{n}" for n in range(6)]},
        "send_at": "2026-12-01T10:00:00", "messages": [{"text": "Hi\n{link}", "links": {"default": "https://x.example/"}}],
    })  # fmt: skip
    assert toml_of(file_of(ID, draft)) == (
        'id = "0000000a"\nname = "Say \\"hi\\""\nsend_at = 2026-12-01T10:00:00\n\n[audience]\nlists = ["a"]\n'
        "numbers = [\n" + "".join(f'  "+1212555010{n}",\n' for n in range(6)) + "]\n\n"
        '[[messages]]\ntext = "Hi\\n{link}"\n\n[messages.links]\ndefault = "https://x.example/"\n'
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"messages": [{"text": "Hi"}]}, {"messages": [{"text": "Ho"}]}, [("messages.0.text", "Hi", "Ho")]),
        ({}, {"messages": [{"text": "Ho"}]}, [("messages.0.text", None, "Ho")]),
        ({"tags": ["a", "b"]}, {"tags": ["b", "c"]}, [("tags", ["a"], ["c"])]),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, [("tags", [], [])]),
        ({"send_at": "2026-12-01T10:00:00"}, {}, [("send_at", "2026-12-01T10:00:00", None)]),
    ],
)
def test_each_change_is_named(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    forms = [stored(DraftSpec.model_validate({"name": "Sale", **fields})) for fields in (before, after)]
    assert changes(*forms) == [FieldChange(*item) for item in expected]


def test_a_hundred_thousand_numbers_are_compared_in_one_pass() -> None:
    numbers = [f"+1212{n:07}" for n in range(100_000)]
    before, after = ({"audience": {"numbers": of}} for of in (numbers, [*numbers[:0:-1], "+12125550123"]))
    assert changes(before, after) == [FieldChange("audience.numbers", [numbers[0]], ["+12125550123"])]
