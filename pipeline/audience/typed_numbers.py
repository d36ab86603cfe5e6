"""Reads the typed numbers of an audience."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.numbers.area_codes import state_of_number
from pipeline.numbers.numbering import Accepted, read
from schemas.audience import TypedNumbers


def typed_numbers(texts: Sequence[str]) -> tuple[TypedNumbers, list[tuple[str, str]]]:
    """The E.164 numbers of what was typed, each once and in order, and (text, reason) of what is none.

    Numbers are typed with their country: `+33 6 12 34 56 78`. It decides the price and the quiet hours, as that of a
    contact does.
    """
    accepted: dict[int, str] = {}
    refused: list[tuple[str, str]] = []
    for text in texts:
        outcome = read(text, "")
        if isinstance(outcome, Accepted):
            accepted[outcome.number] = outcome.country
        else:
            refused.append((text, outcome))
    numbers, countries = list(accepted), list(accepted.values())
    regions = [
        state_of_number(number) if country in ("US", "CA") else ""
        for number, country in zip(numbers, countries, strict=True)
    ]
    return TypedNumbers(numbers, countries, regions), refused
