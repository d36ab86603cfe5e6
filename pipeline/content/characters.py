"""Replaces characters that force UCS-2 by those of GSM-7 that mean the same: one typographic apostrophe more than
halves what fits in a segment.

A text is changed only where all of it is in GSM-7 then and it takes no more segments than before: the joiners of an
emoji stay, since they force nothing that the emoji does not. A link keeps each of its characters, and a letter stays
the letter that it is (rules/characters.toml). An accent that is written as a character of its own is joined with its
letter where GSM-7 has both as one.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Final

from pipeline.content.segments import EXTENSION, count, foreign_characters, is_gsm7


def _code_points(ranges: Iterable[str]) -> Iterator[int]:
    for text in ranges:
        first, _, last = text.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def _table() -> dict[str, str]:
    data = tomllib.loads(files("pipeline.rules").joinpath("characters.toml").read_text(encoding="utf-8"))
    table = {chr(code): entry["to"] for entry in data["replacement"] for code in _code_points(entry["from"])}
    for entry in data["shifted"]:
        table |= {chr(code): chr(code - entry["by"]) for code in _code_points(entry["from"])}
    return table


REPLACEMENTS: Final = _table()
"""Character outside GSM-7 → what replaces it."""

_ANY: Final = f"[{re.escape(''.join(REPLACEMENTS))}]"
_REPLACED: Final = re.compile(_ANY)
# A quotation mark or ellipsis behind a link is not of it.
_LINK: Final = re.compile(
    rf"((?<![\w.+-])(?:[a-z][a-z0-9+.-]*://|www\.|[\w-]+(?:\.[\w-]+)+/)\S*(?<!{_ANY}))", re.IGNORECASE
)
_FORCING: Final = re.compile(r".[\u0300-\u036f]+|.", re.DOTALL)


def replace_characters(texts: list[str]) -> list[str]:
    """The texts as they go out, in the same order."""
    changed = {text: _replaced(text) for text in dict.fromkeys(texts) if not is_gsm7(text)}
    return [changed.get(text, text) for text in texts] if changed else texts


def replacements_in(text: str) -> dict[str, str]:
    """What `replace_characters` has replaced in a text that it changed → by what, in order: characters, or letters
    with their accents."""
    pieces = dict.fromkeys(_FORCING.findall(text))
    return {piece: _replace(piece) for piece in pieces if not is_gsm7(piece)}


def lasting_characters(text: str) -> list[str]:
    """The characters outside GSM-7 that nothing replaces, each once and in order."""
    return foreign_characters(_outside_links(text))


def _replaced(text: str) -> str:
    replaced = _outside_links(text)
    return replaced if is_gsm7(replaced) and not _is_longer(text, replaced) else text


def _is_longer(text: str, replaced: str) -> bool:
    """Whether a text takes more segments in GSM-7 than before, as one of many ellipses does."""
    septets = len(replaced) + sum(map(replaced.count, EXTENSION))
    if septets <= 2 * len(text):
        return False  # a segment has more than twice as many septets as UCS-2 units
    return count(replaced).parts > count(text).parts


def _outside_links(text: str) -> str:
    if all(is_gsm7(word) for word in text.split() if "/" in word or "." in word):
        return _replace(text)  # no link has anything to replace: much quicker
    # With a group, every second piece is a link.
    pieces = _LINK.split(text)
    return "".join(piece if place % 2 else _replace(piece) for place, piece in enumerate(pieces))


def _replace(text: str) -> str:
    return _REPLACED.sub(lambda match: REPLACEMENTS[match[0]], unicodedata.normalize("NFC", text))
