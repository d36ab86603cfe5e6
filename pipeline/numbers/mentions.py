"""All numbers that a cell may mean. For opt-outs one number too many does no harm, and one too few does.

A message goes to a number only if its reading is certain; an opt-out counts for every possible reading of a cell.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from pipeline.numbers.numbering import Accepted, Bare, digits_of, read, read_international, read_national
from schemas.reasons import Reason

_PIECE: Final = re.compile(r"[+＋]?[\d\s().\-–\u2010\u2011]*\d")
_LEAST_DIGITS: Final = 7
_MOST_PIECES: Final = 20
_INSIDE: Final[frozenset[Reason]] = frozenset({Reason.SEVERAL_NUMBERS, Reason.EXTENSION, Reason.LETTERS})
"""Refusals of cells in which a number stands beside something else."""


def possible_numbers(text: str, country: str, bare: Bare = "undecided") -> list[int]:
    """The numbers that a cell may mean, each once: of ambiguous digits both readings, of several numbers each, and
    the number before an extension or beside a name."""
    outcome = read(text, country, bare)
    if isinstance(outcome, str) and outcome in _INSIDE:
        pieces = [number for piece in _pieces(text) for number in _meant(piece, country, bare)]
        return list(dict.fromkeys(pieces))
    return _meant(text, country, bare)


def _meant(text: str, country: str, bare: Bare) -> list[int]:
    outcome = read(text, country, bare)
    if isinstance(outcome, Accepted):
        return [outcome.number]
    if outcome not in (Reason.AMBIGUOUS, Reason.NO_COUNTRY):
        return []
    digits = digits_of(text)
    if not digits.isdecimal():
        return []
    readings = (read_national(digits, country), read_international(digits))
    return [reading.number for reading in readings if isinstance(reading, Accepted)]


def _pieces(text: str) -> list[str]:
    """The runs of digits that are long enough, and for `…67/8` also the number with its last digit replaced."""
    runs = [match[0].strip() for match in _PIECE.finditer(text)][:_MOST_PIECES]
    pieces: list[str] = []
    for run in runs:
        digits = sum(map(str.isdecimal, run))
        if digits >= _LEAST_DIGITS:
            pieces += [run, re.sub(r"[\s\-–]+\d{1,2}$", "", run)]
        elif pieces and digits and run.isdecimal():
            pieces.append(pieces[-1][: -len(run)] + run)
        elif digits:
            pieces.append(run)
    # `0664/1234567`: a short run may be the area code of the next one.
    return [*pieces, *(area + rest for area, rest in pairwise(runs) if len(area) <= _LEAST_DIGITS)]
