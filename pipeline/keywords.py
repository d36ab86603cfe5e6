"""What an inbound text asks for: to stop, to start again, help, or something that a person should read.

Carriers compare the whole message with a list of words after stripping it, and that is done here too. The
US rule (47 CFR 64.1200(a)(10), in force since 2025-04-11) goes further: a sender must honour whatever a
reasonable person would understand as a request to stop. So a longer text counts as a stop when it begins
with a word that hardly begins anything else: STOP, STOPALL, UNSUBSCRIBE, ARRET, OPTOUT, REVOKE ("stop
texting me", "STOP au 36111"). A wrong stop costs one text and is undone with START; a missed one breaks the
law. END, QUIT, CANCEL, REMOVE and TD must stand alone, since "Cancel my 3 pm" is for a person; so must the
start words, since "yes but not today" is no consent.

The words are dated data in rules/keywords.toml. All entries count from the day they are written down:
`valid_from` says since when each is asked for, and honouring one early does no harm.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any, Final, Literal, get_args

Family = Literal["stop", "start", "help"]
Intent = Literal["stop", "start", "help", "doubtful", "other"]
"""`doubtful` is what only looks like an opt-out: the number is held until an operator has looked."""

_READ_AT_MOST: Final = 1600  # characters: nothing longer is a keyword, and a first word comes before


@dataclass(frozen=True, slots=True)
class Keyword:
    """One entry of the list; `leads`: a longer text that begins with it counts as well."""

    word: str
    family: Family
    language: str
    source: str
    valid_from: date
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text was taken for, and what decided: the word (as the list has it) and the rule; "" for `other`."""

    intent: Intent
    word: str = ""
    rule: str = ""


def classify(text: str) -> Reading:
    """What the sender of `text` asks for; case, spaces, punctuation and accents do not matter."""
    words = _words(text[:_READ_AT_MOST])
    asked = _COURTESY.sub(" ", f" {' '.join(words)} ").replace(" ", "")
    for whole in ("".join(words), asked):
        if family := _WHOLE.get(whole):
            return Reading(family, whole, "alone")
    return Reading("stop", words[0], "leads") if _leads(words) else Reading("other")


def _leads(words: list[str]) -> bool:
    """True if the text begins with a leading word, which may be written as two ("opt out of this")."""
    return "".join(words[:1]) in _LEADING or "".join(words[:2]) in _LEADING


def _words(text: str) -> list[str]:
    """Runs of letters and digits, without accents and case; apostrophes and hyphens do not end a word."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = (char for char in plain if unicodedata.category(char) not in _IGNORED)
    return re.findall(r"[^\W_]+", re.sub(r"['’‘`´-]", "", "".join(kept)))


_IGNORED: Final = frozenset({"Mn", "Me", "Cf"})  # accents, enclosing marks, invisible format characters


def _load() -> tuple[tuple[Keyword, ...], tuple[str, ...]]:
    data = tomllib.loads(files("pipeline.rules").joinpath("keywords.toml").read_text(encoding="utf-8"))
    return tuple(map(_keyword, data["keyword"])), tuple(data["courtesy"]["words"])


def _keyword(entry: dict[str, Any]) -> Keyword:
    keyword = Keyword(**entry)
    if keyword.family not in get_args(Family) or (keyword.leads and keyword.family != "stop"):
        raise ValueError(f"rules/keywords.toml: {keyword.word}: family {keyword.family!r}, leads {keyword.leads}")
    return keyword


KEYWORDS, _COURTESIES = _load()
_WHOLE: Final[dict[str, Family]] = {"".join(_words(k.word)): k.family for k in KEYWORDS}
_LEADING: Final = frozenset("".join(_words(k.word)) for k in KEYWORDS if k.leads)
_COURTESY: Final = re.compile("|".join(rf"(?<= ){' '.join(_words(phrase))}(?= )" for phrase in _COURTESIES))
