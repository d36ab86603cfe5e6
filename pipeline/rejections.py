"""Why a line of a file was not taken, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from pipeline.number_refusals import WORDS as REFUSALS
from pipeline.number_refusals import Refusal

Rejection = Literal[Refusal, "unknown_country", "unknown_zone", "wrong_columns", "malformed"]
REJECTIONS: Final[tuple[str, ...]] = get_args(Rejection)

_WORDS: Final[Mapping[str, str]] = {
    **{str(reason): words for reason, words in REFUSALS.items()},
    "unknown_country": "the country is not known: write its two letters or its name",
    "unknown_zone": "the time zone is not known: write it as America/New_York, or leave it empty",
    "wrong_columns": "the line does not have as many cells as the header",
    "malformed": "the line cannot be read: look for a quotation mark that is not closed, or an unreadable character",
}


def in_words(reason: str, detail: str = "") -> str:
    """The reason, its code first, as it is written beside a rejected line."""
    words = _WORDS.get(reason, reason.replace("_", " "))
    return f"{reason}: {words}{f' ({detail})' if detail else ''}"


def is_rejection(text: str) -> bool:
    """Whether a cell is what `in_words` wrote: such a column is no attribute of a person."""
    return text.partition(":")[0] in REJECTIONS
