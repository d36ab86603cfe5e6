"""Finds recipients whose text would be empty: "{first_name}" without a first name would go out as the site name
alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.content.render import Template

_SAYS_SOMETHING: Final = frozenset("LNSM")
"""Unicode's letters, numbers, symbols (emoji among them) and marks; punctuation and blanks alone say nothing."""


class EmptyTextCheck:
    """Finds the recipients of a message whose own text is empty, apart from the site's name and opt-out language."""

    __slots__ = ("_added", "_template")

    def __init__(self, template: Template, added: Sequence[str]) -> None:
        self._template = template
        self._added: Final = [text.casefold() for text in added if text.strip()]

    def are_empty(self, columns: Mapping[str, Sequence[str]], n: int) -> NDArray[np.bool_]:
        """Which of n texts say nothing; `columns`: attribute -> a value for each recipient."""
        texts = self._template.render_columns(columns, n, {})
        known: dict[str, bool] = {}
        return np.fromiter((self._is_empty(text, known) for text in texts), np.bool_, n)

    def _is_empty(self, text: str, known: dict[str, bool]) -> bool:
        is_empty = known.get(text)
        if is_empty is None:
            is_empty = known[text] = not says_something(self._own(text))
        return is_empty

    def _own(self, text: str) -> str:
        text = text.casefold()
        for added in self._added:
            text = text.replace(added, "")
        return text


def empty_text_check(template: Template, site_name: str, opt_out_language: str) -> EmptyTextCheck | None:
    """The check of a message as its author wrote it; None where nobody's text can be empty (nearly always)."""
    if template.specials:
        return None
    check = EmptyTextCheck(template, (site_name, opt_out_language))
    # An empty value gives the default, so no text is emptier than that of somebody without any attribute.
    return check if check.are_empty({}, 1)[0] else None


def says_something(text: str) -> bool:
    """Whether a text has more than blanks, punctuation and invisible characters."""
    return any(unicodedata.category(character)[0] in _SAYS_SOMETHING for character in text)
