"""Why a line of a file was not taken, in words that a person can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from pipeline.numbers.refusals import WORDS as REFUSALS
from pipeline.numbers.refusals import Refusal

Rejection = Literal[Refusal, "unknown_country", "unknown_zone", "wrong_columns", "malformed"]
REJECTIONS: Final[tuple[str, ...]] = get_args(Rejection)

_WORDS: Final[Mapping[str, str]] = {
    **{str(reason): words for reason, words in REFUSALS.items()},
    "unknown_country": "the country is not known: write its two letters or its name",
    "unknown_zone": "the time zone is not known: write it as America/New_York, or leave it empty",
    "wrong_columns": "the line does not have as many cells as the header",
    "malformed": "the line cannot be read: look for a quotation mark that is not closed, or an unreadable character",
}


EXAMPLES: Final = 3
"""Rejected lines of each reason that are shown."""
_SHOWN: Final = 200


@dataclass(slots=True)
class RejectedLines:
    """How many lines of a file were rejected for which reason, and the first of each as they came."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, raw: str) -> None:
        """Take in a line; what could not be decoded in it is shown as question marks."""
        self.counts[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(raw[:_SHOWN].encode("utf-8", "replace").decode())


def in_words(reason: str, detail: str = "") -> str:
    """The reason, its code first, as it is written beside a rejected line."""
    words = _WORDS.get(reason, reason.replace("_", " "))
    return f"{reason}: {words}{f' ({detail})' if detail else ''}"


def is_rejection(text: str) -> bool:
    """Whether a cell is what `in_words` wrote: such a column is no attribute of a person."""
    return text.partition(":")[0] in REJECTIONS
