"""Names of columns: as attributes that a template can name, and as keys under which known headers are looked up."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

LONGEST: Final = 64


def field_name(header: str) -> str:
    """The attribute's name of a column: lower case, letters, marks and digits of any script, `_` for all else.

    "" where nothing of that is in the header. A name that begins with a digit gets a `_` in front, because a
    template could not name it otherwise.
    """
    return _joined(unicodedata.normalize("NFC", header.strip().lower()), "LMN")


@cache
def fold(text: str) -> str:
    """A text as it is compared with lists of words: without case, accents and punctuation; words joined by `_`."""
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    kept = "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf"))
    return _squeezed(kept, "LMN")


def _joined(text: str, kinds: str) -> str:
    name = _squeezed(text, kinds)
    if name and unicodedata.category(name[0])[0] != "L":
        name = f"_{name}"
    return unicodedata.normalize("NFC", name[:LONGEST]).rstrip("_")


def _squeezed(text: str, kinds: str) -> str:
    marked = "".join(c if unicodedata.category(c)[0] in kinds else " " for c in text)
    return "_".join(marked.split())
