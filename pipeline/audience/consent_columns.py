"""Columns that say whether a person may be written to: which ones those are, and what a cell of them means.

"Unsubscribed = yes" forbids, "Accepts SMS Marketing = no" forbids, "Consent expired = yes" forbids, "Status =
abgemeldet" forbids. A value that is not understood counts as doubtful: whoever has it is held until an operator has
looked. A column that looks like consent but of which nothing is understood stops the import, because guessing either
way harms somebody. `opt_out_mentions` finds opt-outs in the cells of other columns.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from pipeline.audience.column_words import consent_words, folds, is_empty, is_failed_formula, value_words

Polarity = Literal["out", "in", "", "reason", "proof", "mention"]
"""What a cell of a column means: "yes" is must not be written to, or may be written to, or nobody knows; the details
of an opt-out; the details of consent; or something else altogether, unless it tells of an opt-out."""
Verdict = Literal["out", "in", "held"]
Kind = Literal["out", "in", "reason", "proof", "unclear", "status", "asks", "question", "other_channel"]

_OUT, _OUT_PARTS, _IN, _IN_PARTS, _ENDINGS, _OTHER_CHANNELS = (
    consent_words(key) for key in ("out", "out_parts", "in", "in_parts", "endings", "other_channels")
)
_OUT_EXACT, _OUT_ALONE, _OUT_WEAK, _NEGATIONS, _UNCERTAIN, _LAPSING = (
    frozenset(consent_words(key))
    for key in ("out_exact", "out_alone", "out_weak", "negations", "uncertain", "lapsing")
)
_UNCLEAR, _STATUS, _ASKS, _FACTS, _TEXTS, _ABOUT, _PROOF = (
    frozenset(consent_words(key)) for key in ("unclear", "status", "asks", "facts", "texts", "about", "proof")
)
_YES, _NO, _SAYS_OUT, _SAYS_IN, _DOUBTFUL, _AROUND, _ELSEWHERE, _TELLING = (
    value_words(key) for key in ("yes", "no", "out", "in", "doubtful", "around", "elsewhere", "telling")
)
_UNMISTAKABLE: Final = _SAYS_OUT - _ELSEWHERE | _TELLING
_SHORTEST_IN: Final = 3
"""Letters, at least, of an answer that allows and stands among other words: "SMS in" is none."""
_MOMENT: Final = re.compile(
    r"(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)?\d\d(?:[T, ].*)?"
    r"|1\d{9}(?:\d{3})?(?:\.\d+)?"
    r"|(?:[A-Za-z]{3,9},? )?(?:\d{1,2} [A-Za-z]{3,9}|[A-Za-z]{3,9} \d{1,2}),? (?:19|20)\d\d.*"
)
_LINK: Final = re.compile(r"(?:[a-z]+://|www\.|mailto:)\S+", re.IGNORECASE)
_PIECES: Final = re.compile(r"[,;|/:()\[\]\n\r\t、，；：（）]|\s[-–—]\s")
_MARKS: Final = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]")
_LONGEST_LOOKED_AT: Final = 2000
_MOST_SPACES: Final = 6
"""In an answer: a text of more words is none."""
_NO_LETTERS: Final = bytes(c if c >= 128 or chr(c).isalpha() else 32 for c in range(256))
"""Translates UTF-8 to letters and spaces."""


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
    """What a header says about consent; None where it is about something else.

    `unclear` and `status`: only the values can tell. `asks`: it is about being written to, so answers are about
    consent. `question`: what "yes" would mean is not certain.
    """
    forms = folds(header)
    words = [word for folded in forms for word in folded.split("_")]
    if _UNCLEAR.intersection(forms):
        return "unclear"
    if _STATUS.intersection(forms):
        return "status"
    kind = next((kind for kind in map(_kind_of_words, forms) if kind is not None), None)
    if kind is None:
        return "asks" if _ASKS.intersection(words) and not (_ABOUT | _FACTS).intersection(words) else None
    names_channel = any(map(_names_other_channel, forms))
    return "other_channel" if names_channel and not _TEXTS.intersection(words) else kind


def _names_other_channel(folded: str) -> bool:
    """Whether a header is about calls or mail; "do not call" is about texts too: they are calls to US law."""
    words = folded.split("_")
    forbidding = _covered(folded, words, _OUT, frozenset(), ())
    rest = "_".join("" if i in forbidding else word for i, word in enumerate(words))
    return any(f"_{channel}_" in f"_{rest}_" for channel in _OTHER_CHANNELS)


def _kind_of_words(folded: str) -> Kind | None:
    words = folded.split("_")
    forbidding = _covered(folded, words, _OUT, _OUT_EXACT, _OUT_PARTS)
    if not forbidding and not (set(words) & _OUT_ALONE and set(words) <= _OUT_ALONE | _TEXTS):
        return _kind_that_allows(folded, words)
    rest = {word for i, word in enumerate(words) if i not in forbidding}
    if _ends(rest) or rest & _NEGATIONS:
        return "question"
    if not rest & _ABOUT:
        return "out"
    return None if {words[i] for i in forbidding} <= _OUT_WEAK else "reason"


def _kind_that_allows(folded: str, words: list[str]) -> Kind | None:
    allowing = _covered(folded, words, _IN, frozenset(), _IN_PARTS)
    rest = {word for i, word in enumerate(words) if i not in allowing}
    turns = bool(rest & _NEGATIONS) + _ends(rest)
    if not allowing:
        return "question" if turns and rest & _LAPSING else None
    if turns > 1 or rest & _UNCERTAIN:
        return "question"
    if not rest & _ABOUT:
        return "out" if turns else "in"
    if turns:
        return "reason"
    return "proof" if rest & _PROOF else None


def _covered(
    folded: str, words: list[str], stems: tuple[str, ...], exact: frozenset[str], parts: tuple[str, ...]
) -> set[int]:
    """The places of the words that begin with one of the stems, are exactly one of some words, or have a part."""
    places = {i for i, word in enumerate(words) if word in exact or any(part in word for part in parts)}
    places |= {folded[: folded.index(part)].count("_") for part in parts if "_" in part and part in folded}
    for stem in stems:
        at = f"_{folded}".find(f"_{stem}")
        while at >= 0:
            first = folded[:at].count("_")
            places |= set(range(first, first + stem.count("_") + 1))
            at = f"_{folded}".find(f"_{stem}", at + 1)
    return places


def _ends(words: Iterable[str]) -> bool:
    return any(word.startswith(_ENDINGS) for word in words)


def verdict_of(cell: str, polarity: Polarity, *, blank_is_doubtful: bool = False) -> Verdict | None:
    """What a cell says: `out`, `in`, `held` (doubtful), or None for nothing."""
    text = cell.strip().strip("'\"")
    if polarity == "mention":
        return mention(text)
    if is_failed_formula(text):
        return "held"
    if is_empty(text):
        return "held" if blank_is_doubtful else None
    said = _said(text)
    if polarity in ("reason", "proof"):
        if said == "out":
            return "out"
        if polarity == "proof":
            return "held" if said in ("no", "doubtful") else None
        return None if said == "no" or _LINK.fullmatch(text) else "held"
    if said in ("yes", "no") or _MOMENT.fullmatch(text):
        if not polarity:
            return "held"
        is_out = polarity == "out"
        return "out" if is_out == (said != "no") else "in"
    if said == "out":
        return "out"
    return "in" if said == "in" else "held"


def _said(text: str) -> Literal["yes", "no", "out", "in", "doubtful", ""]:
    """The answer that a text is, perhaps among words that do not change it."""
    forms = [form for form in folds(text) if form] or [text]
    for form in forms:
        if form in _NO:
            return "no"
        if form in _YES:
            return "yes"
    bare = ["_".join(word for word in form.split("_") if word not in _AROUND) for form in forms]
    if not _SAYS_OUT.isdisjoint(forms) or not _SAYS_OUT.isdisjoint(bare):
        return "out"
    if not _SAYS_IN.isdisjoint(forms):
        return "in"
    if not _DOUBTFUL.isdisjoint(forms) or not _DOUBTFUL.isdisjoint(bare):
        return "doubtful"
    return "in" if any(len(form) >= _SHORTEST_IN and form in _SAYS_IN for form in bare) else ""


def is_understood(cell: str, polarity: Polarity) -> bool:
    """Whether a value is an answer to the question of consent, a doubtful one included."""
    return verdict_of(cell, polarity) in ("out", "in") or _said(cell.strip()) == "doubtful"


def is_answer(cell: str) -> bool:
    """Whether a value is an answer to a question of consent, whichever it is."""
    return is_empty(cell) or _said(cell.strip()) != ""


def is_telling(cell: str) -> bool:
    """Whether a value is an answer that tells what it is about: "subscribed", "blocked"; not "yes"."""
    return _said(cell.strip()) in ("out", "in", "doubtful")


def forbids(cell: str) -> bool:
    """Whether a value is a word for an opt-out; in a column about something else it may have another meaning."""
    return _said(cell.strip()) == "out"


def is_yes_or_no(cell: str) -> bool:
    """Whether a value answers a question, without saying which."""
    return _said(cell.strip()) in ("yes", "no")


def is_moment(cell: str) -> bool:
    """Whether a value is a date or a time."""
    return _MOMENT.fullmatch(cell.strip()) is not None


def mention(text: str) -> Literal["out", "held"] | None:
    """What a cell of any column tells about consent: that it is an opt-out, that it may be one ("VIP; unsubscribed",
    "has unsubscribed by phone"), or nothing."""
    text = text[:_LONGEST_LOOKED_AT]
    if not text or _LINK.fullmatch(text):
        return None
    if _is_unmistakable(text):
        return "out" if _TELLS.search(_compared(text)) else "held"
    pieces = [piece for piece in _PIECES.split(text) if piece.strip()]
    if len(pieces) > 1 and any(map(_is_unmistakable, pieces)):
        return "held"
    return "held" if _TELLS.search(_compared(text)) else None


def _is_unmistakable(text: str) -> bool:
    if text.count(" ") > _MOST_SPACES:
        return False
    for form in folds(text):
        bare = "_".join(word for word in form.split("_") if word not in _AROUND)
        if form in _UNMISTAKABLE or bare in _UNMISTAKABLE:
            return True
    return False


def opt_out_mentions(cells: Sequence[str]) -> list[str]:
    """The different cells of a column's batch that tell of an opt-out; a batch without any takes a few ms."""
    distinct = list(dict.fromkeys(cells))
    text = _compared("\n".join(distinct))
    words = set(text.encode().translate(_NO_LETTERS).split())
    signs = [sign for sign in _SIGNS if sign[0] <= words]
    signs += [(set[bytes](), (phrase,)) for phrase in _UNSPACED if not text.isascii() and phrase in text]
    if not signs:
        return []
    return [
        cell
        for cell, compared in zip(distinct, map(_compared, distinct), strict=True)
        if any(all(word in compared for word in sign[1]) for sign in signs)
        and mention(cell.strip().strip("'\"")) is not None
    ]


def _compared(text: str) -> str:
    """A text without case and accents; surrogates, which a lenient reading leaves, become question marks."""
    text = text.lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).encode("utf-8", "replace").decode()
    return text.replace("_", " ")


def _signs() -> list[tuple[set[bytes], tuple[str, ...]]]:
    """The words of each phrase, in UTF-8 and as text; also the phrase in one word."""
    phrases = [phrase.split("_") for phrase in _UNMISTAKABLE]
    phrases += [["".join(words)] for words in phrases if len(words) > 1]
    return [({word.encode() for word in words}, tuple(words)) for words in phrases]


def _pattern_of_telling() -> re.Pattern[str]:
    of_letter: dict[str, list[str]] = {}
    for phrase in sorted(_TELLING, key=len, reverse=True):
        words = r"\W*".join(map(re.escape, phrase.split("_")))
        of_letter.setdefault(words[0], []).append(words[1:])
    letters = "".join(sorted(of_letter))
    spaced = "|".join(f"{letter}(?:{'|'.join(of_letter[letter])})" for letter in letters)
    return re.compile(rf"\b(?=[{letters}])(?:{spaced})\b|{'|'.join(map(re.escape, sorted(_UNSPACED)))}")


_UNSPACED: Final = frozenset(phrase for phrase in _TELLING if ord(min(phrase)) > 0x10FF)
"""Phrases in Chinese, Japanese and Korean, which may stand within other letters."""
_SIGNS: Final = _signs()
_TELLS: Final = _pattern_of_telling()
