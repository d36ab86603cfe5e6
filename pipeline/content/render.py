"""Texts of a message for a chunk of recipients, from columns of attributes; what goes before and after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Final

from pipeline.content.template import DEFAULT_LINK, OPT_OUT, Slot, TemplateError, escape, parse

__all__ = [
    "DEFAULT_LINK",
    "OPT_OUT",
    "Template",
    "TemplateError",
    "compile_template",
    "escape",
    "with_opt_out_language",
    "with_site_name",
]

_LINK_KEY: Final = "link:"


class Template:
    """A parsed text. Immutable; parse once per message, render per chunk."""

    __slots__ = ("_pieces", "fields", "fields_without_default", "links", "literals", "specials", "text")

    def __init__(self, text: str) -> None:
        self._pieces = parse(text)
        slots = [piece for piece in self._pieces if isinstance(piece, Slot)]
        plain = [slot for slot in slots if not slot.special]
        self.text: Final = text
        """As written."""
        self.literals: Final = tuple(
            [piece for piece in self._pieces if isinstance(piece, str)] + [slot.default or "" for slot in plain]
        )
        """What the author wrote beside placeholders, and the defaults."""
        self.fields: Final = _distinct(slot.key for slot in plain)
        """Contact attributes needed, in order of first use."""
        self.fields_without_default: Final = _distinct(slot.key for slot in plain if slot.default is None)
        """Those that leave a hole in some text where a contact has no value: worth a warning."""
        self.specials: Final = _distinct(slot.key for slot in slots if slot.special)
        """Keys that `render_columns` wants in `specials`: `link:NAME`, `opt_out`."""
        self.links: Final = tuple(key[len(_LINK_KEY) :] for key in self.specials if key.startswith(_LINK_KEY))
        """Names of the links in order of first use; `{link}` is `default`."""

    def render_columns(
        self, columns: Mapping[str, Sequence[str]], n: int, specials: Mapping[str, Sequence[str]]
    ) -> list[str]:
        """The n texts, in the order of the columns.

        `columns`: attribute -> n values. An empty or blank value gives the default, and so does a column
        that is not there (no contact of the chunk has the attribute). `specials`: key of `self.specials` ->
        n values. Raises ValueError for a column of another length and for a special that is missing, since a
        text without its link must not go out.
        """
        parts: list[Iterable[str]] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                parts.append(repeat(piece, n))
            elif piece.special:
                parts.append(_special(piece.key, specials, n))
            else:
                parts.append(_filled(piece, columns, n))
        return list(map("".join, zip(*parts, strict=True))) if parts else [""] * n


def compile_template(text: str) -> Template:
    """Parses a text. Raises TemplateError, whose message says where, what and what to do."""
    return Template(text)


def with_site_name(text: str, site_name: str) -> str:
    """Template text that begins with the site's name: "Site: text", or as it is where it already does.

    Upper and lower case are the same; "Acmeville" does not begin with "Acme". `site_name` is plain text.
    """
    name = escape(site_name.strip())
    own = text.lstrip().casefold()
    if not name or any(_begins_with_word(own, word.casefold()) for word in (name, site_name.strip())):
        return text
    return f"{name}: {text.lstrip()}"


def with_opt_out_language(text: str, phrase: str) -> str:
    """Template text that ends with `phrase` (itself a template text, so it may hold `{opt_out}`).

    As it is where it already contains the phrase, however spaced and in whatever case, or `{opt_out}`.
    Raises TemplateError where `text` is no template.
    """
    phrase = phrase.strip()
    if not phrase or _folded(phrase) in _folded(text) or OPT_OUT in Template(text).specials:
        return text
    return f"{text}{phrase}" if not text or text[-1].isspace() else f"{text} {phrase}"


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _filled(slot: Slot, columns: Mapping[str, Sequence[str]], n: int) -> Iterable[str]:
    default = slot.default or ""
    column = columns.get(slot.key)
    if column is None:
        return repeat(default, n)
    _check_length(slot.key, column, n)
    return [value if value and not value.isspace() else default for value in column]


def _special(key: str, specials: Mapping[str, Sequence[str]], n: int) -> Sequence[str]:
    if key not in specials:
        raise ValueError(f"no values for {{{key}}}: the caller gives {sorted(specials)}")
    _check_length(key, specials[key], n)
    return specials[key]


def _check_length(key: str, column: Sequence[str], n: int) -> None:
    if len(column) != n:
        raise ValueError(f"column {key} has {len(column)} values for {n} recipients")


def _begins_with_word(text: str, word: str) -> bool:
    return text.startswith(word) and not text[len(word) : len(word) + 1].isalnum()


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
