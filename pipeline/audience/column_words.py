"""What columns are called: as attributes that a template can name, and as rules/columns.toml knows them and their
values, in many languages."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

LONGEST: Final = 64
_REMEMBERED: Final = 65_536
_CAPITAL: Final = re.compile(r"(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]{2})")


def field_name(header: str) -> str:
    """The attribute's name of a column: lower case, letters, marks and digits of any script, `_` for all else.

    "" where nothing of that is in the header. A name that begins with a digit gets a `_` in front, because a
    template could not name it otherwise.
    """
    return _joined(unicodedata.normalize("NFC", header.strip().lower()), "LMN")


@lru_cache(_REMEMBERED)
def fold(text: str) -> str:
    """A text as it is compared with lists of words: without case, accents and punctuation; words joined by `_`."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    kept = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf"))
    return _squeezed(kept, "LMN")


@lru_cache(_REMEMBERED)
def folds(text: str) -> tuple[str, ...]:
    """`fold` of a text with its inner capitals taken as beginnings of words, and as it stands where that differs:
    `HasOptedOutOfSMS` is `has_opted_out_of_sms`, and `WhatsApp` is `whats_app` and `whatsapp`."""
    return tuple(dict.fromkeys((fold(_CAPITAL.sub(" ", text)), fold(text))))


def _joined(text: str, kinds: str) -> str:
    name = _squeezed(text, kinds)
    if name and unicodedata.category(name[0])[0] != "L":
        name = f"_{name}"
    return unicodedata.normalize("NFC", name[:LONGEST]).rstrip("_")


def _squeezed(text: str, kinds: str) -> str:
    marked = "".join(c if unicodedata.category(c)[0] in kinds else " " for c in text)
    return "_".join(marked.split())


def _load() -> dict[str, Any]:
    return tomllib.loads(files("pipeline.rules").joinpath("columns.toml").read_text(encoding="utf-8"))


def _names(role: str) -> tuple[str, ...]:
    lists = (words for key, words in _DATA["names"][role].items() if key not in ("words", "not_words"))
    return tuple(dict.fromkeys(fold(word) for words in lists for word in words))


_DATA: Final = _load()
NAMES: Final[dict[str, tuple[str, ...]]] = {role: _names(role) for role in _DATA["names"]}
"""Per role the folded headers, the best one first."""
_PHONE_WORDS: Final = frozenset(fold(word) for word in _DATA["names"]["phone"]["words"])
_NOT_PHONE: Final = frozenset(fold(word) for word in _DATA["names"]["phone"]["not_words"])

EMPTY: Final = frozenset(_DATA["empty"]["texts"])
"""Texts that mean that there is no value."""
_INVISIBLE: Final = frozenset(_DATA["empty"]["invisible"])
_FAILED: Final[str] = _DATA["empty"]["failed"]


def names_number(header: str) -> bool:
    """Whether a column holds phone numbers, as its header says."""
    forms = folds(header)
    words = {word for folded in forms for word in folded.split("_")}
    return any(folded in NAMES["phone"] for folded in forms) or (
        bool(words & _PHONE_WORDS) and not words & _NOT_PHONE
    )


def is_empty(text: str) -> bool:
    """Whether a cell has no value: nothing in it that anybody sees, or what a program writes for nothing."""
    text = text.strip()
    return not text or text in EMPTY or not (text.isascii() or any(map(_is_visible, text)))


@lru_cache(_REMEMBERED)
def _is_visible(character: str) -> bool:
    return character not in _INVISIBLE and unicodedata.category(character) not in ("Zs", "Zl", "Zp", "Cf", "Cc")


def is_failed_formula(text: str) -> bool:
    """Whether a spreadsheet could not say what the cell holds."""
    return text.startswith(_FAILED) and text in EMPTY


@cache
def country_named(text: str) -> str:
    """ISO code of a country's code or name in any of many languages; "" for anything else."""
    from phonenumbers import SUPPORTED_REGIONS

    code = text.strip().upper()
    if code in SUPPORTED_REGIONS:
        return code
    return _country_names().get(code) or _country_names().get(fold(text), "")


@cache
def _country_names() -> dict[str, str]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS
    from phonenumbers.geodata.locale import LOCALE_DATA

    names: dict[str, str] = {}
    for code in sorted(SUPPORTED_REGIONS & LOCALE_DATA.keys()):
        for name in LOCALE_DATA[code].values():
            if not name.startswith("*"):
                names.setdefault(fold(name), code)
    names |= {f"+{code}": regions[0] for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
    return names | {fold(name): code for name, code in _DATA["countries"].items()}


def consent_words(key: str) -> tuple[str, ...]:
    """A list of section `consent`, folded."""
    return tuple(fold(word) for word in _DATA["consent"][key])


def value_words(key: str) -> frozenset[str]:
    """A list of section `values`, folded; a sign that folds to nothing stays as it is."""
    return frozenset(fold(word) or word for word in _DATA["values"][key])


def names_known_column(header: str) -> bool:
    """Whether a header is a word that we know, of any role or of consent: a sign that it was decoded rightly."""
    return any(folded in names for folded in folds(header) for names in NAMES.values()) or fold(header) in _KNOWN


_KNOWN: Final = frozenset(
    fold(word) for word in _DATA["common"]["headers"] + _DATA["consent"]["out"] + _DATA["consent"]["in"]
)
