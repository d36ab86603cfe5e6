"""Who a campaign's audience names beside its lists: the typed numbers."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.numbering import Accepted, read


def typed_numbers(texts: Sequence[str]) -> tuple[list[int], list[tuple[str, str]]]:
    """The E.164 numbers of what was typed, each once and in order, and (text, reason) of what is none.

    Numbers are typed with their country: `+33 6 12 34 56 78`.
    """
    accepted: dict[int, None] = {}
    refused: list[tuple[str, str]] = []
    for text in texts:
        outcome = read(text, "")
        if isinstance(outcome, Accepted):
            accepted[outcome.number] = None
        else:
            refused.append((text, outcome))
    return list(accepted), refused
