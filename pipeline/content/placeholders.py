"""Placeholders as other systems write them: here they would go out literally, to every recipient.

    *|FNAME|*  {{ first_name }}  [first_name]  [first_name|there]  [FNAME=there]  [[name]]  %FNAME%  %First Name%
    <<name>>  <name>  ${name}  $(name)  $first_name$  @name@  @@name@@  #name#  ##name##  __name__  ((name))
    :first_name:  %s  %%=v(@name)=%%  ｛name｝

Marks that ordinary texts have too (`((new))`, `:smile:`, `$ave$`) count only around names of fields
(rules/placeholders.toml). A backslash in front says that just these characters are meant: `\\[today]` goes out as
`[today]`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import unquote

_ESCAPED: Final = r"\\{}\[\]#@%*<>$_(:｛［％"
ESCAPE: Final = re.compile(rf"\\[{_ESCAPED}]")
"""A backslash and the character that it escapes; before other characters a backslash is itself."""

LONGEST_NAME: Final = 64
_NAME: Final = r"[^\W\d][\w\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff .-]{0,63}"
_HTML: Final = "a|b|i|u|s|p|q|br|em|hr|h[1-6]|li|ol|ul|td|tr|img|div|span|strong|small|font|center|html|body|head"
_DOUBLE: Final = r"\{\{(?P<double>[^{}]*)\}\}"
_DATA: Final = tomllib.loads(files("pipeline.rules").joinpath("placeholders.toml").read_text(encoding="utf-8"))
_FIELD: Final = (
    "(?i:" + "|".join(re.escape(word).replace(r"\ ", "[ _.-]?") for word in _DATA["fields"]["words"]) + ")"
)
"""A name that other systems fill in, whatever marks are around it."""
_FILTERS: Final = frozenset(_DATA["filters"]["words"])
_STYLES: Final = (
    _DOUBLE,
    rf"\*\|(?P<stars>{_NAME}(?::[^|]*)?)\|\*",
    rf"<<\s*(?P<angles>{_NAME})\s*>>",
    rf"<%=?\s*(?P<erb>{_NAME})\s*%>",
    rf"<(?!(?:{_HTML})[ >])(?P<tag>{_NAME})>",
    r"\$\{(?P<dollar>[^{}]*)\}",
    r"(?<![\w$])\$\((?P<shell>[^\W\d][\w.]*)\)",
    rf"(?<![\w$])\$\$?(?P<dollars>{_FIELD})\$\$?(?![\w$])",
    r"%%=\s*(?:v\()?@?(?P<ampscript>[\w.]*)[^%]*=%%",
    rf"\(\(\s*(?P<round>{_FIELD})\s*\)\)",
    r"｛{1,2}(?P<wide>[^｛｝{}]*)｝{1,2}",
    r"(?<![\w%])%{1,2}(?P<percent>[^\W\d][\w.]*)%{1,2}(?!\w)",
    rf"(?<![\w%])[%％]{{1,2}}(?P<percents>{_FIELD}(?:\|[^|%％]*)?)[%％]{{1,2}}(?!\w)",
    rf"［(?P<wide_square>{_FIELD})］",
    r"(?<![\w%])(?<![\d][ \u00a0\u202f])%(?P<printf>(?:\d\$)?s)(?![\w%])",
    r"%\((?P<python>\w+)\)s(?!\w)",
    rf"\[{{1,2}}[%*]?[ ]?(?P<square>{_NAME}(?:\s*[|=][^\[\]]*)?)[%*]?\]{{1,2}}",
    r"(?<![\w@])@{1,2}(?P<at>[^\W\d]\w*)@{1,2}(?![\w@])",
    r"(?<![\w#])#{1,2}(?P<hash>[^\W\d]\w*)#{1,2}(?![\w#])",
    rf"(?<![\w:]):(?P<colon>{_FIELD}):(?![\w:])",
    r"(?<!\w)__(?P<under>[^\W\d_]\w*?)__(?!\w)",
)
_FOREIGN: Final = re.compile("|".join(_STYLES))
# In an address #, @, : and square brackets have other meanings, and so has % before two hexadecimal digits.
_LINK_STYLES: Final = (
    *_STYLES[:11],
    r"%(?![0-9A-Fa-f]{2})(?P<percent>[^\W\d]\w*)%",
    rf"%(?P<percents>{_FIELD})%(?![0-9A-Fa-f]{{2}})",
    r"%s(?!\w)",
    rf"\[{{1,2}}%?\s*(?P<square>{_NAME}(?:\s*[|=][^\[\]]*)?)%?\]{{1,2}}",
    r"(?<![\w@])@{1,2}(?P<at>[^\W\d]\w*)@{1,2}(?!\w)",
    r"##(?P<hash>[^\W\d]\w*)##",
    rf"__(?P<under>{_FIELD})__",
    r"\$\$?(?P<dollar_name>[^\W\d]\w*)\$",
    rf"(?<=[=/])\$(?P<variable>{_FIELD})(?!\w)",
    r"(?<=[=/]):(?P<route>[^\W\d]\w*)",
    rf"\{{\s*(?P<own>{_NAME})\s*(?:\|[^{{}}]*)?(?:\}}|(?=$|[&#/?]))",
)
_IN_LINK: Final = re.compile("|".join(_LINK_STYLES))
_QUERY_NAME: Final = re.compile(r"(?<=[?&])[^=&#\[\]]+(?:\[[^=&#\[\]]*\])+(?=[=&#]|$)")
"""`filter[color]` of `?filter[color]=red`: its brackets are its own."""
_DECODINGS: Final = 3
"""How often an address is decoded: programs that pass it on may have encoded it again."""
_FILTER: Final = re.compile(r"\w+(?=$|\s*[:=('\"|]|\s+['\"])")
"""A word that stands alone or has an argument behind it, as a filter does."""
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
    for _ in range(_DECODINGS + 1):
        match = _IN_LINK.search(_QUERY_NAME.sub("\0", address))
        if match is not None:
            return match[0]
        decoded = unquote(address)
        if decoded == address:
            return None
        address = decoded
    return None


def foreign_default(default: str) -> str | None:
    """What is meant by a default as other systems write it ("default: 'there'", "|there"), "" where that cannot be
    told; None where it is a default of ours."""
    first = _FILTER.match(default.strip())
    if not default.strip().startswith("|") and (first is None or first[0].lower() not in _FILTERS):
        return None
    return _meant_default(default)


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
    name, _, default = re.sub(r"[|=]", "|", inside, count=1).partition("|")
    plain = _meant_default(default)
    attribute = attribute_name(name.partition(":")[0])
    return f"{{{attribute if is_name(attribute) and name != 's' else 'first_name'}{f'|{plain}' if plain else ''}}}"


def _meant_default(default: str) -> str:
    """What other systems would fill in: of `upcase | default: "there"` it is `there`."""
    last = default.rpartition("|")[2].strip()
    words = _FILTER.match(last)
    if words is not None and words[0].lower() in _FILTERS:
        last = last[words.end() :]
    return re.sub(r"[{}|\\]", "", last).strip(" :=()'\"“”‘’")


def _kept(written: str) -> str:
    if written.startswith(("${", "$(")):
        return f"\\{written}"  # a dollar sign in front of a price
    return re.sub(r"^(?:[^\w\s]+|_+)|(?:[^\w\s]+|_+)$", _escaped, written)


def _escaped(match: re.Match[str]) -> str:
    return re.sub(rf"[{_ESCAPED}]", r"\\\g<0>", match[0])
