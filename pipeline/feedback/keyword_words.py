"""The words of inbound texts: how a text is cut into them, and the lists that they are compared with.

The lists are dated data in rules/keywords.toml, families of phrases in rules/keyword_families.toml, the look-alike
letters in rules/confusables.toml. All entries count
from the day they are written down: `valid_from` says since when each is asked for, and honouring one early does no
harm.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import groupby, product
from typing import Any, Final, Literal, get_args

Purpose = Literal["stop", "start", "help"]
Reach = Literal["strong", "weak"]
Kind = Literal[
    "harmless",
    "denial",
    "strong",
    "weak",
    "doubt",
    "start",
    "help",
    "courtesy",
    "filler",
    "narrow",
    "about",
    "refusal",
    "mail",
]
"""What a phrase of the lists is; of two that begin at the same word the longer counts."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """One entry of the lists that decide."""

    word: str
    family: Purpose
    language: str
    source: str
    valid_from: date
    reach: Reach = "strong"
    typos: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Phrases that are built alike: an entry of each slot, one after the other."""

    slots: list[list[str]]
    kind: Kind
    language: str
    source: str
    valid_from: date


Phrase = tuple[str, ...]


def plain(text: str, hyphen: str = "") -> str:
    """Without case, accents, styles and invisible characters; enclosed and flag letters as letters, and `hyphen` for
    each hyphen."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text.translate(_BOXED)).casefold())
    kept = "".join(char for char in folded if unicodedata.category(char) not in _IGNORED)
    return unicodedata.normalize("NFC", _APOSTROPHES.sub("", _HYPHENS.sub(hyphen, kept)))


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and symbols of the lists, of a text that `plain` made. Apostrophes and hyphens do
    not end a word; single letters in a row are one word; scripts without spaces are cut by the lists."""
    return [word for run in _joined(_WORD.findall(text)) for word in _cut(run)]


def sentences_of(text: str) -> list[list[str]]:
    """The words of each sentence or line, those without words left out."""
    return [words for part in _SENTENCE.split(text) if (words := words_of(part))]


_IGNORED: Final = frozenset({"Mn", "Me", "Cf"})  # accents, enclosing marks, invisible format characters
_HYPHENS: Final = re.compile(r"[‐‑‒–-]")
_APOSTROPHES: Final = re.compile(r"['’‘`´ʼ]")
_MASKED: Final = re.compile(r"(?<![^\W_])[^\W_]++(?:\*++[^\W_]++)++")
"""A word whose author has hidden letters ("f*ck", "st*p")."""
_MOST_MASKED: Final = 10
_SENTENCE: Final = re.compile(r"[.!?\n\r;…。！？؟।]+")
_BOXED: Final = {
    first + place: letter
    for first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)  # squared, circled and squared in negative, flags
    for place, letter in enumerate("abcdefghijklmnopqrstuvwxyz")
}
_SPACELESS: Final = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def _joined(words: Iterable[str]) -> Iterator[str]:
    """Three and more single letters in a row are one word ("s t o p"), and so are runs of scripts without spaces."""
    for kind, run in groupby(words, _run_kind):
        parts = list(run)
        if kind == "spaceless" or (kind == "single" and sum(map(str.isalpha, parts)) > 2):
            yield "".join(parts)
        else:
            yield from parts


def spellings_of(text: str) -> Iterator[str]:
    """A text as `plain` makes it, in each way in which it may be meant: a hyphen stands for nothing ("opt-out") or
    for a blank ("retirez-moi"), asterisks are decoration or hide letters ("st*p")."""
    said = plain(text)
    others = (plain(text, " ") if _HYPHENS.search(text) else said, _MASKED.sub(_unmasked, said, count=_MOST_MASKED))
    yield from dict.fromkeys((said, *others))


def _unmasked(match: re.Match[str]) -> str:
    """The word that a masked one stands for, where that is a word by which people opt out."""
    word = match[0]
    if max(map(len, word.split("*"))) < 2 or len(word) < 4:
        return word
    pattern = re.compile(word.replace("*", r"\w"))
    return next((known for known in _MASKABLE.get(len(word), ()) if pattern.fullmatch(known)), word)


def _run_kind(word: str) -> str:
    if _SPACELESS.fullmatch(word):
        return "spaceless"
    return "single" if len(word) == 1 and word.isalnum() else "word"


def _cut(word: str) -> list[str]:
    if _SPACELESS.fullmatch(word):
        return _cut_spaceless(word)
    known = _known(word)
    if known != word or word in VOCABULARY or not 6 <= len(word) <= 40:
        return [known]
    return _cut_run_together(word) or [word]


def _known(word: str) -> str:
    """The word of the lists that this one is in other letters, else the word itself without symbols."""
    bare = word.strip("$@")
    if not any(char.isalpha() for char in word):
        return bare
    forms = (word, bare, word.translate(_LETTERS), word.translate(_LETTERS | _LEET), bare.rstrip("0123456789"))
    mixed = (word.translate(letters) for is_in, letters in _SCRIPTS if is_in.search(word))
    return next((form for form in (*forms, *mixed) if form in VOCABULARY), bare)


def _cut_spaceless(run: str) -> list[str]:
    parts, rest = [], ""
    at = 0
    while at < len(run):
        size = next((n for n in range(min(_LONGEST, len(run) - at), 0, -1) if run[at : at + n] in VOCABULARY), 0)
        if size:
            parts += [rest, run[at : at + size]]
            rest = ""
        else:
            rest += run[at]
        at += size or 1
    return [part for part in [*parts, rest] if part]


def _cut_run_together(word: str) -> list[str] | None:
    """A word that is a strong stop word and words around it, run together ("stoptextingme"); else None."""

    @cache
    def cut(at: int, stops: bool) -> tuple[str, ...] | None:
        if at == len(word):
            return () if stops else None
        for end in range(len(word), at + 1, -1):
            part = word[at:end]
            is_stop = part in _STRONG_WORDS and len(part) > 3
            if (is_stop or part in _AROUND) and (rest := cut(end, stops or is_stop)) is not None:
                return (part, *rest)
        return None

    words = cut(0, False)
    return list(words) if words else None


def one_letter_off(word: str) -> str | None:
    """The stop word that this one misspells: a letter changed, missing, surplus or doubled, or two swapped."""
    if word in VOCABULARY or word in _ORDINARY or len(word) < 4 or len(word) > 20:
        return None
    squeezed = _squeeze(word)
    for known in _MISSPELLED:
        if _squeeze(known) == squeezed or _distance(word, known) <= (1 if len(known) < 9 else 2):
            return known
    return None


def _squeeze(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", word)


def _distance(word: str, known: str) -> int:
    """Optimal string alignment distance; 3 for all that differ by more than two in length."""
    if abs(len(word) - len(known)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(known) + 1))
    for i, a in enumerate(word, 1):
        last, before, row = before, row, [i]
        for j, b in enumerate(known, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == known[j - 2] and word[i - 2] == b:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("pipeline.rules").joinpath(name).read_text(encoding="utf-8"))


def _keywords(data: Mapping[str, Any]) -> Iterator[Keyword]:
    for family in get_args(Purpose):
        for entry in data[family]:
            if entry.get("reach", "strong") not in get_args(Reach):
                raise ValueError(f"rules/keywords.toml: {entry['words'][0]}: reach {entry['reach']!r}")
            for word in entry["words"]:
                yield Keyword(word, family, **{key: value for key, value in entry.items() if key != "words"})


def _families(entries: Iterable[Family]) -> Iterator[tuple[Kind, Phrase, str]]:
    """The phrases of the families, each with its kind and name: one entry of each slot. There are thousands, so words
    are cut once an entry."""
    for entry in entries:
        slots = [[(_phrase(part), part) for part in slot] for slot in entry.slots]
        for parts in product(*slots):
            words = tuple(word for phrase, _ in parts for word in phrase)
            is_spaceless = len(words) > 1 and all(map(_SPACELESS.fullmatch, words))
            phrase = ("".join(words),) if is_spaceless else words
            yield entry.kind, phrase, " ".join(part for _, part in parts if part)


def _read_families() -> Iterator[Family]:
    for entry in _read("keyword_families.toml")["family"]:
        if entry["kind"] not in ("strong", "weak", "doubt"):
            raise ValueError(f"rules/keyword_families.toml: {entry['slots'][0][0]}: kind {entry['kind']!r}")
        yield Family(**entry)


def _table(looks: Mapping[str, str]) -> dict[int, str]:
    return {ord(look): letter for letter, alike in looks.items() for look in alike}


_DATA: Final = _read("keywords.toml")
_CONFUSABLE: Final = _read("confusables.toml")
_LETTERS: Final = _table(_CONFUSABLE["letters"])
_LEET: Final = _table(_CONFUSABLE["digits"])
_SCRIPTS: Final = (
    (re.compile("[\u0400-\u04ff]"), _table(_CONFUSABLE["cyrillic"])),
    (re.compile("[\u0370-\u03ff]"), _table(_CONFUSABLE["greek"])),
)
KEYWORDS: Final = tuple(_keywords(_DATA))
DOUBTS: Final[tuple[str, ...]] = tuple(word for entry in _DATA["doubt"] for word in entry["words"])
PLAYFUL: Final[tuple[str, ...]] = tuple(_DATA["playful"]["words"])
SIGNATURES: Final[tuple[str, ...]] = tuple(_DATA["signature"]["starts"])
TAPBACKS: Final[tuple[str, ...]] = tuple(_DATA["tapback"]["starts"])
_SYMBOLS: Final = "".join(
    sorted({plain(word) for word in (*(k.word for k in KEYWORDS), *DOUBTS) if not any(map(str.isalnum, word))})
)
_WORD: Final = re.compile(rf"[{_SYMBOLS}]|{_SPACELESS.pattern}|(?:(?!{_SPACELESS.pattern})[^\W_]|[$@])+")


def _listed() -> Iterator[tuple[Kind, str]]:
    """Every phrase with its kind, what decides first."""
    for entry in _DATA["harmless"]:
        yield from (("harmless" if entry["beside_messages"] else "denial", word) for word in entry["words"])
    for keyword in KEYWORDS:
        yield (keyword.reach if keyword.family == "stop" else keyword.family), keyword.word
    yield from (("doubt", word) for word in DOUBTS)
    for kind in ("courtesy", "filler", "narrow", "about", "refusal", "mail"):
        yield from ((kind, word) for word in _DATA[kind]["words"])


def _phrase(word: str) -> Phrase:
    """The words of a phrase of the lists: nothing is looked up yet, so scripts without spaces stay whole."""
    return tuple(_joined(_WORD.findall(plain(word))))


PHRASES: Final[dict[Phrase, set[Kind]]] = {}
NAMES: Final[dict[Phrase, str]] = {}
for _kind, _text in _listed():
    PHRASES.setdefault(_phrase(_text), set()).add(_kind)
    NAMES.setdefault(_phrase(_text), _text)
_DECIDING: Final = frozenset({"harmless", "denial", "strong", "weak", "doubt", "start", "help"})
FAMILIES: Final = tuple(_read_families())
_OF_ONE_KIND: Final[dict[Kind, set[Kind]]] = {kind: {kind} for kind in ("strong", "weak", "doubt")}
for _kind, _words, _text in _families(FAMILIES):
    _kinds = PHRASES.setdefault(_words, _OF_ONE_KIND[_kind])
    if not _kinds & _DECIDING:
        _kinds.add(_kind)
    NAMES.setdefault(_words, _text)
VOCABULARY: Final = frozenset(word for phrase in PHRASES for word in phrase)
JOINED: Final[dict[str, Phrase]] = {"".join(phrase): phrase for phrase in PHRASES}
LONGEST_PHRASE: Final = max(map(len, PHRASES))
_LONGEST: Final = max(map(len, VOCABULARY))
_ORDINARY: Final = frozenset(plain(word) for word in _DATA["ordinary"]["words"])
_STRONG_WORDS: Final = frozenset(p[0] for p, kinds in PHRASES.items() if len(p) == 1 and "strong" in kinds)
_MASKABLE: Final[dict[int, list[str]]] = {}
"""Words that a masked one may stand for, by length, those first that are a stop by themselves."""
for _word in sorted(
    {word for phrase, kinds in PHRASES.items() if kinds & {"strong", "doubt"} for word in phrase if len(word) > 3},
    key=lambda word: (word not in _STRONG_WORDS, word),
):
    _MASKABLE.setdefault(len(_word), []).append(_word)
_AROUND: Final = frozenset(
    p[0] for p, kinds in PHRASES.items() if len(p) == 1 and len(p[0]) > 1 and kinds & {"courtesy", "filler"}
)
_MISSPELLED: Final = tuple(
    dict.fromkeys(
        words[0]
        for keyword in KEYWORDS
        if keyword.typos and len(words := _phrase(keyword.word)) == 1 and len(words[0]) > 3 and words[0].isascii()
    )
)
