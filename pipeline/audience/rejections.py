"""Why a line of a file was not taken, in words that a person can act on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from schemas.reasons import Reason, of_kind, with_remedy

_REJECTIONS: Final = of_kind("number", "line")

EXAMPLES: Final = 3
"""Rejected lines of each reason that are shown."""
_SHOWN: Final = 200


@dataclass(slots=True)
class RejectedLines:
    """How many lines of a file were rejected for which reason, and the first of each as they came."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: Reason, raw: str) -> None:
        """Take in a line; what could not be decoded in it is shown as question marks."""
        self.counts[reason.value] += 1
        examples = self.examples.setdefault(reason.value, [])
        if len(examples) < EXAMPLES:
            examples.append(raw[:_SHOWN].encode("utf-8", "replace").decode())


def explained(reason: str, detail: str = "") -> str:
    """The reason, its code first, as it is written beside a rejected line."""
    return f"{reason}: {with_remedy(reason)}{f' ({detail})' if detail else ''}"


def is_rejection(text: str) -> bool:
    """Whether a cell is what `explained` wrote: such a column is no attribute of a person."""
    return text.partition(":")[0] in _REJECTIONS
