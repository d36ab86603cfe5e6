"""The template language of message texts: what a person may write, and what is wrong when it does not parse.

    Hi {first_name|there}, 20% off: {link} {{today only}}

`{name}` is a contact attribute, `{name|default}` one with a default (`{name|}` says that empty is meant);
`{link}`, `{link:NAME}` and `{opt_out}` are specials, filled in by the pipeline; `{{` and `}}` are braces.
Blanks around a name and a default do not count. Values are never parsed again, so a contact whose name is
"{link}" is greeted as "{link}".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DEFAULT_LINK: Final = "default"
"""Name of the link that plain `{link}` leads to."""

OPT_OUT: Final = "opt_out"

_BRACE = re.compile(r"[{}]")
_FIELD_NAME = re.compile(r"[^\W\d]\w{0,63}")
_LINK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class TemplateError(ValueError):
    """A text that is no template: `position` (0-based, in characters), `what` is wrong, `remedy`."""

    def __init__(self, position: int, what: str, remedy: str) -> None:
        super().__init__(f"character {position + 1}: {what}; {remedy}")
        self.position = position
        self.what = what
        self.remedy = remedy


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
    pieces: list[str | Slot] = []
    for piece in _scan(text):
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece:
            pieces.append(piece)
    return tuple(pieces)


def escape(literal: str) -> str:
    """The template text that renders as `literal`."""
    return literal.replace("{", "{{").replace("}", "}}")


def _scan(text: str) -> Iterator[str | Slot]:
    position = 0
    while found := _BRACE.search(text, position):
        start = found.start()
        yield text[position:start]
        if text.startswith(found[0] * 2, start):
            yield found[0]
            position = start + 2
        else:
            end = _closing(text, start)
            yield _slot(text[start + 1 : end], start)
            position = end + 1
    yield text[position:]


def _closing(text: str, start: int) -> int:
    if text[start] == "}":
        raise TemplateError(start, "} closes nothing", "remove it, or write }} for a brace in the text")
    found = _BRACE.search(text, start + 1)
    if not found:
        raise TemplateError(start, "{ is never closed", "add } after the name, or write {{ for a brace in the text")
    if found[0] == "{":
        raise TemplateError(
            found.start(), "{ inside of a field", f"close the field that begins at character {start + 1} first"
        )
    return found.start()


def _slot(inside: str, start: int) -> Slot:
    name, bar, default = inside.partition("|")
    name = name.strip()
    if name in (OPT_OUT, "link") or name.startswith("link:"):
        if bar:
            raise TemplateError(start, f"{{{name}}} takes no default", f"write {{{name}}}")
        return Slot(name if name == OPT_OUT else _link_key(name, start), special=True)
    _check_name(name, start)
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
        raise TemplateError(start, "the field has no name", "write {name}, or {{}} for braces in the text")
    if not _FIELD_NAME.fullmatch(name):
        raise TemplateError(
            start,
            f"{name!r} is no name of a field",
            "use letters, digits and _ and begin with a letter, for instance {first_name} or {first_name|there}",
        )
