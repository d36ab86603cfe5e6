"""Surveys each column of a file in a first pass, before the second pass writes anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.audience.consent_columns import opt_out_mentions

MOST_VALUES: Final = 200
"""Different values of a column that are kept: a column about consent has few, or dates."""
MOST_MENTIONS: Final = 20
"""Different cells that tell of an opt-out and are kept: one of them is enough to look at all later."""
SAMPLES: Final = 3
_LOOKED_AT: Final = 2000
_LIKE_A_NUMBER: Final = re.compile(r"(?:\+|00)?[\d ().\-/]{7,20}")


@dataclass(slots=True)
class Profile:
    """One column: its first different values (without the blank one), and how many of its first cells look like a
    phone number. `mentions` are cells that tell of an opt-out, of the whole column however long it is."""

    values: dict[str, None] = field(default_factory=dict)
    full: bool = False
    blanks: int = 0
    mentions: dict[str, None] = field(default_factory=dict)
    looked_at: int = 0
    like_numbers: int = 0
    with_plus: int = 0

    def add(self, cells: Sequence[str]) -> None:
        if self.looked_at < _LOOKED_AT:
            self._look_at(cells[: _LOOKED_AT - self.looked_at])
        self.blanks += cells.count("")
        if len(self.mentions) < MOST_MENTIONS:
            self.mentions |= dict.fromkeys(opt_out_mentions(cells)[:MOST_MENTIONS])
        if self.full:
            return
        for cell in cells if len(cells) <= MOST_VALUES else dict.fromkeys(cells):
            text = cell.strip()
            if text and text not in self.values:
                if len(self.values) >= MOST_VALUES:
                    self.full = True
                    return
                self.values[text] = None

    def _look_at(self, cells: Sequence[str]) -> None:
        for cell in cells:
            text = cell.strip().lstrip("'")
            if text:
                self.looked_at += 1
                digits = sum(c.isdigit() for c in text)
                fits = 7 <= digits <= 15 and _LIKE_A_NUMBER.fullmatch(text) is not None
                self.like_numbers += fits
                self.with_plus += fits and text[0] == "+"

    @property
    def samples(self) -> list[str]:
        return list(self.values)[:SAMPLES]

    @property
    def looks_like_numbers(self) -> bool:
        """Whether nearly every cell could be a phone number."""
        return self.looked_at > 0 and self.like_numbers >= 0.9 * self.looked_at

    @property
    def is_international(self) -> bool:
        """Whether the cells are phone numbers with a plus: nothing else looks like that."""
        return self.looked_at > 0 and self.with_plus >= 0.5 * self.looked_at


@dataclass(slots=True)
class Survey:
    """The profiles of all columns of a header, and how many rows there were."""

    profiles: list[Profile]
    rows: int = 0

    @classmethod
    def of(cls, header: Sequence[str]) -> Survey:
        """A survey of no rows yet."""
        return cls([Profile() for _ in header])

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Take in rows; those of another width than the header say nothing sure about any column."""
        width = len(self.profiles)
        fitting = [row if len(row) == width else row[:width] for row in rows if len(row) >= width]
        self.rows += len(rows)
        for profile, cells in zip(self.profiles, zip(*fitting, strict=True), strict=False):
            profile.add(cells)
