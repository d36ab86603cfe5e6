"""Placeholders as other systems write them: here they would go out literally, to every recipient.

    *|FNAME|*  {{ first_name }}  [first_name]  [[name]]  %FNAME%  <<name>>  <name>  ${name}  @name@  #name#  __name__

A backslash in front says that just these characters are meant: `\\[today]` goes out as `[today]`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

ESCAPE: Final = re.compile(r"\\[\\{}\[\]#@%*<>$_]")
"""A backslash and the character that it escapes; before other characters a backslash is itself."""

LONGEST_NAME: Final = 64
_NAME: Final = r"[^\W\d][\w\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff .-]{0,63}"
_HTML: Final = "a|b|i|u|s|p|q|br|em|hr|h[1-6]|li|ol|ul|td|tr|img|div|span|strong|small|font|center|html|body|head"
_DOUBLE: Final = r"\{\{(?P<double>[^{}]*)\}\}"
_STYLES: Final = (
    _DOUBLE,
    rf"\*\|(?P<stars>{_NAME}(?::[^|]*)?)\|\*",
    rf"<<\s*(?P<angles>{_NAME})\s*>>",
    rf"<%=?\s*(?P<erb>{_NAME})\s*%>",
    rf"<(?!(?:{_HTML})[ >])(?P<tag>{_NAME})>",
    r"\$\{(?P<dollar>[^{}]*)\}",
    r"(?<![\w%])%{1,2}(?P<percent>[^\W\d][\w.]*)%{1,2}(?!\w)",
    rf"\[{{1,2}}%?(?P<square>{_NAME})%?\]{{1,2}}",
    r"(?<![\w@])@(?P<at>[^\W\d]\w*)@(?!\w)",
    r"(?<![\w#])#(?P<hash>[^\W\d]\w*)#(?!\w)",
    r"(?<!\w)__(?P<under>[^\W\d_]\w*?)__(?!\w)",
)
_FOREIGN: Final = re.compile("|".join(_STYLES))
# In an address square brackets, # and @ have other meanings, and so has % before two hexadecimal digits.
_LINK_STYLES: Final = (
    *_STYLES[:6],
    r"%(?![0-9A-Fa-f]{2})(?P<percent>[^\W\d]\w*)%",
    rf"\{{\s*(?P<own>{_NAME})\s*(?:\|[^{{}}]*)?\}}",
)
_IN_LINK: Final = re.compile("|".join(_LINK_STYLES))
_KNOWN_NAMES: Final = {
    "fname": "first_name",
    "firstname": "first_name",
    "lname": "last_name",
    "lastname": "last_name",
    "surname": "last_name",
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another system's placeholder at `position` (0-based): as `written`; the `spelling` that fills in the attribute
    here, and the one that keeps the characters as they are."""

    position: int
    written: str
    spelling: str
    literal: str


def find_foreign(text: str) -> Foreign | None:
    """The first placeholder of another system in a text."""
    # What a backslash keeps must not be seen, and nothing may move.
    match = _FOREIGN.search(ESCAPE.sub("\0\0", text))
    if match is None:
        return None
    written = text[match.start() : match.end()]
    return Foreign(match.start(), written, _spelling(match), _kept(written))


def find_in_link(address: str) -> str | None:
    """The first placeholder, of any system, in the address that a link leads to."""
    match = _IN_LINK.search(address) or _IN_LINK.search(unquote(address))
    return None if match is None else match[0]


def attribute_name(text: str) -> str:
    """The attribute name that a column or placeholder of another system most likely means."""
    bare = re.sub(r"[\s.-]+", "_", text.strip().rpartition(".")[2].strip()).strip("_").lower()
    return _KNOWN_NAMES.get(bare, bare)


def is_name(text: str) -> bool:
    """Whether a text can name an attribute: letters, digits and _ of any script, no digit first, at most 64."""
    return (
        0 < len(text) <= LONGEST_NAME
        and (text[0] == "_" or unicodedata.category(text[0])[0] == "L")
        and all(character in "_\u200c\u200d" or unicodedata.category(character)[0] in "LMN" for character in text)
    )


def _spelling(match: re.Match[str]) -> str:
    inside = next(group for group in match.groups() if group is not None)
    name, bar, default = inside.partition("|")
    # Liquid writes {{ name | default: "there" }}.
    plain = default.strip().removeprefix("default").lstrip(": ").strip("'\"() ")
    name = attribute_name(name.partition(":")[0])
    return f"{{{name or 'first_name'}{f'|{plain}' if bar and plain else ''}}}"


def _kept(written: str) -> str:
    if written.startswith("${"):
        return f"\\{written}"  # a dollar sign in front of a price
    return re.sub(r"^(?:[^\w\s]+|_+)|(?:[^\w\s]+|_+)$", _escaped, written)


def _escaped(match: re.Match[str]) -> str:
    return re.sub(r"[\\{}\[\]#@%*<>$_]", r"\\\g<0>", match[0])
