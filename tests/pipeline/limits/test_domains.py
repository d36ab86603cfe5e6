"""What each domain of an account has carried, and what is left of it."""

from __future__ import annotations

import pytest

from pipeline.limits.domains import DomainCounts
from tests.pipeline.lane.records import domain_terms

TERMS = domain_terms(("go.example", "short", 10), ("to.example", "short", None), ("bye.example", "opt-out", 3))


@pytest.mark.parametrize(
    ("domains", "messages", "has_room"),
    [
        ([], 99, True),
        (["go.example"], 10, True),
        (["go.example"], 11, False),
        (["to.example"], 10**9, True),
        (["go.example", "bye.example"], 3, True),
        (["go.example", "bye.example"], 4, False),
        (["go.example", "to.example"], 1, False),  # two of one kind
        (["go.example", "go.example"], 1, False),
        (["elsewhere.example"], 1, False),
    ],
)
def test_domains_have_room_for_as_many_as_the_least_of_them(
    domains: list[str], messages: int, has_room: bool
) -> None:
    assert DomainCounts().have_room(TERMS, domains, messages) == has_room
    assert DomainCounts().have_room(None, domains, messages) == (not domains), "without terms there are no domains"


def test_what_was_not_processed_is_given_back() -> None:
    counts = DomainCounts()
    counts.count("demo", ["go.example", "bye.example"], 3)
    assert not counts.have_room(TERMS, ["bye.example"], 1)
    counts.count("demo", ["go.example", "bye.example"], -1)
    assert (counts.of("demo"), counts.of("shop")) == ({"go.example": 2, "bye.example": 2}, {})
    assert [counts.left(TERMS, limit) for limit in TERMS.domains] == [8, None, 1]


def test_a_limit_below_what_was_used_leaves_nothing() -> None:
    counts = DomainCounts()
    counts.count("demo", ["go.example"], 10)
    lower = domain_terms(("go.example", "short", 4))
    assert counts.left(lower, lower.domains[0]) == 0
    assert not counts.have_room(lower, ["go.example"], 1)
