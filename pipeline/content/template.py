"""The template language of message texts: what a person may write, and what is wrong when it does not parse.

    Hi {first_name|there}, 20% off: {link}

`{name}` is a contact attribute, `{name|there}` one with a default (`{name|}` says that empty is meant); a name has
letters, digits and _ of any script, in upper or lower case. `{link}`, `{link:NAME}` and `{opt_out}` are specials,
filled in by the pipeline.
Blanks around a name and a default do not count. Values are never parsed again, so a contact whose name is
"{link}" is greeted as "{link}".

What looks like a placeholder of another system (`{{name}}`, `*|NAME|*`, `[name]`; see `placeholders`) is an
error, because it would go out as it stands. A backslash keeps a character: `\\{` is a brace, `\\[today]` says
just that; before any other character a backslash is a backslash.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.content.placeholders import ESCAPE, attribute_name, find_foreign, foreign_default, is_name

DEFAULT_LINK: Final = "default"
"""Name of the link that plain `{link}` leads to."""

OPT_OUT: Final = "opt_out"

_BRACE = re.compile(r"[{}]")
_MARK = re.compile(f"{ESCAPE.pattern}|[{{}}]")
_LINK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class TemplateError(ValueError):
    """A text is not a valid template: `position` (0-based, in characters), `what` is wrong, and the `remedy`."""

    def __init__(self, position: int, what: str, remedy: str) -> None:
        super().__init__(f"character {position + 1}: {what}; {remedy}")
        self.position = position
        self.what = what
        self.remedy = remedy


class ForeignPlaceholder(TemplateError):
    """A placeholder as another system writes it."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to fill. `key` is the attribute's name, or `link:NAME` or `opt_out` where `special`."""

    key: str
    default: str | None = None
    special: bool = False


def parse(text: str) -> tuple[str | Slot, ...]:
    """The literals and slots of a text in order, no literal empty or beside another.

    Raises TemplateError at the first thing that is wrong.
    """
    foreign = find_foreign(text)
    if foreign is not None:
        raise ForeignPlaceholder(
            foreign.position,
            f"{foreign.written} is a placeholder of another system and would go out as it stands",
            f"write {foreign.spelling} for the attribute, or {foreign.literal} for just these characters",
        )
    pieces: list[str | Slot] = []
    for piece in _scan(text):
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece:
            pieces.append(piece)
    return tuple(pieces)


def escape(literal: str) -> str:
    """The template text that renders as `literal`, whatever stands beside it: `$` before `{name}` is a placeholder of
    another system."""
    return re.sub(r"[\\{}\[#@%*<$_(:｛［％]", r"\\\g<0>", literal)


def _scan(text: str) -> Iterator[str | Slot]:
    position = 0
    while match := _MARK.search(text, position):
        start = match.start()
        yield text[position:start]
        if match[0][0] == "\\":
            yield match[0][1]
            position = match.end()
        else:
            end = _closing(text, start)
            yield _slot(text[start + 1 : end], start)
            position = end + 1
    yield text[position:]


def _closing(text: str, start: int) -> int:
    if text[start] == "}":
        raise TemplateError(start, "} closes nothing", "remove it, or write \\} for a brace in the text")
    match = _BRACE.search(text, start + 1)
    if not match:
        raise TemplateError(start, "{ is never closed", "add } after the name, or write \\{ for a brace in the text")
    if match[0] == "{":
        raise TemplateError(
            match.start(), "{ inside of a field", f"close the field that begins at character {start + 1} first"
        )
    return match.start()


def _slot(inside: str, start: int) -> Slot:
    name, bar, default = inside.partition("|")
    written = name.strip()
    # An import names attributes in lower case, and of the two spellings of an accented letter by the shorter.
    name = unicodedata.normalize("NFC", written.lower())
    if name in (OPT_OUT, "link") or name.startswith("link:"):
        if bar:
            raise TemplateError(start, f"{{{name}}} takes no default", f"write {{{name}}}")
        return Slot(name if name == OPT_OUT else _link_key(written, start), special=True)
    _check_name(name, start)
    meant = foreign_default(default) if bar else None
    if meant is not None:
        raise ForeignPlaceholder(
            start,
            f"{bar}{default} is a default as another system writes it, and {default.strip()} would go out",
            f"write {{{name}|{meant or 'there'}}}",
        )
    return Slot(name, default.strip() if bar else None)


def _link_key(name: str, start: int) -> str:
    link = name[len("link:") :].strip() if ":" in name else DEFAULT_LINK
    if not _LINK_NAME.fullmatch(link):
        raise TemplateError(
            start,
            f"{link!r} is no name of a link" if link else "the link has no name",
            "write {link}, or {link:NAME} with lower-case letters, digits, - and _",
        )
    return f"link:{link}"


def _check_name(name: str, start: int) -> None:
    if not name:
        raise TemplateError(start, "the field has no name", "write {name}, or \\{\\} for braces in the text")
    if not is_name(name):
        better = attribute_name(name)
        spelling = better if is_name(better) else "first_name"
        raise TemplateError(
            start,
            f"{name!r} is no name of a field",
            f"use letters, digits and _ and begin with a letter, for instance {{{spelling}}} or {{{spelling}|there}}",
        )
