"""Columns that say whether a person may be written to: which ones those are, and what a cell of them means.

"Unsubscribed = yes" forbids, "Accepts SMS Marketing = no" forbids, "Status = abgemeldet" forbids. A value that is not
understood counts as doubtful: whoever has it is held until an operator has looked. A column that looks like consent
but of which nothing is understood stops the import, because guessing either way harms somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from pipeline.audience.column_words import consent_words, fold, is_empty, is_failed_formula, value_words

Polarity = Literal["out", "in", ""]
"""What "yes" means: must not be written to, may be written to, or nobody knows."""
Verdict = Literal["out", "in", "held"]
Kind = Literal["out", "in", "unclear", "other_channel"]

_OUT, _OUT_EXACT, _OUT_PARTS = (consent_words(key) for key in ("out", "out_exact", "out_parts"))
_IN, _IN_PARTS = consent_words("in"), consent_words("in_parts")
_NEGATIONS: Final = frozenset(consent_words("negations"))
_UNCLEAR: Final = frozenset(consent_words("unclear"))
_OTHER_CHANNELS: Final = consent_words("other_channels")
_TEXTS: Final = frozenset(consent_words("texts"))
_ABOUT: Final = frozenset(consent_words("about"))
_YES, _NO, _SAYS_OUT, _SAYS_IN, _DOUBTFUL, _TELLING = (
    value_words(key) for key in ("yes", "no", "out", "in", "doubtful", "telling")
)
_MOMENT: Final = re.compile(
    r"(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d\d(?:[T, ].*)?"
    r"|1\d{9}(?:\d{3})?(?:\.\d+)?"
    r"|(?:[A-Za-z]{3,9},? )?(?:\d{1,2} [A-Za-z]{3,9}|[A-Za-z]{3,9} \d{1,2}),? (?:19|20)\d\d.*"
)


@dataclass(frozen=True, slots=True)
class ConsentColumn:
    """A column about consent. `blank_is_doubtful`: others say yes there, so that a blank is no consent."""

    position: int
    name: str
    polarity: Polarity
    blank_is_doubtful: bool = False
    known: dict[str, Verdict | None] = field(default_factory=dict, compare=False, repr=False)
    """Verdicts of cells seen before: a column has few different ones."""

    def verdict(self, cell: str) -> Verdict | None:
        """What a cell says; None where it says nothing."""
        if cell in self.known:
            return self.known[cell]
        said = verdict_of(cell, self.polarity, blank_is_doubtful=self.blank_is_doubtful)
        if len(self.known) < 10_000:
            self.known[cell] = said
        return said


@cache
def kind_of(header: str) -> Kind | None:
    """What a header says about consent; None where it is about something else."""
    folded = fold(header)
    words = folded.split("_")
    if folded in _UNCLEAR:
        return "unclear"
    polarity = _polarity(folded, words)
    if polarity is None or _ABOUT.intersection(words):
        return None
    if any(f"_{channel}_" in f"_{folded}_" for channel in _OTHER_CHANNELS) and not _TEXTS.intersection(words):
        return "other_channel"
    return polarity


def _polarity(folded: str, words: list[str]) -> Literal["out", "in"] | None:
    if _begins(folded, _OUT) or set(_OUT_EXACT).intersection(words) or any(part in folded for part in _OUT_PARTS):
        return "out"
    if _begins(folded, _IN) or any(part in folded for part in _IN_PARTS):
        return "out" if _NEGATIONS.intersection(words) else "in"
    return None


def _begins(folded: str, stems: tuple[str, ...]) -> bool:
    return any(f"_{stem}" in f"_{folded}" for stem in stems)


def verdict_of(cell: str, polarity: Polarity, *, blank_is_doubtful: bool = False) -> Verdict | None:
    """What a cell says: `out`, `in`, `held` (doubtful), or None for nothing."""
    text = cell.strip().strip("'\"")
    if is_failed_formula(text):
        return "held"
    if is_empty(text):
        return "held" if blank_is_doubtful else None
    word = fold(text) or text
    if word in _NO or word in _YES or _MOMENT.fullmatch(text):
        if not polarity:
            return "held"
        return polarity if word not in _NO else _other(polarity)
    if word in _SAYS_OUT:
        return "out"
    return "in" if word in _SAYS_IN else "held"


def _other(polarity: Literal["out", "in"]) -> Literal["out", "in"]:
    return "in" if polarity == "out" else "out"


def is_understood(cell: str, polarity: Polarity) -> bool:
    """Whether a value is an answer to the question of consent, a doubtful one included."""
    word = fold(cell) or cell.strip()
    return verdict_of(cell, polarity) in ("out", "in") or word in _DOUBTFUL


def tells_itself(values: Iterable[str]) -> bool:
    """Whether values are about consent whatever their column is called: "unsubscribed", "abgemeldet"."""
    return any((fold(value) or value) in _TELLING for value in values)


def is_yes_or_no(cell: str) -> bool:
    """Whether a value answers a question, without saying which."""
    word = fold(cell) or cell.strip()
    return word in _YES or word in _NO
