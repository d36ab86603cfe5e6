"""All numbers that a cell may mean. For opt-outs one number too many does no harm, and one too few does.

A message goes to a number only if its reading is certain; an opt-out counts for every possible reading of a cell.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from pipeline.numbers.numbering import Accepted, Bare, digits_of, read, read_international, read_national
from schemas.reasons import Reason

_PIECE: Final = re.compile(r"[+＋]?[\d\s().\-–\u2010\u2011\[\]~·]*\d")
_LEAST_DIGITS: Final = 7
_MOST_DIGITS: Final = 17
"""Digits of a number with a prefix for calls abroad."""
_MOST_PIECES: Final = 20
_MOST_GROUPS: Final = 16
_LAST_DIGITS: Final = re.compile(r"[\s\-–\u2010\u2011.(\[~·]+(\d{1,2})[\s)\]]*$")
_DECIMALS: Final = re.compile(r"(?<=\d{7})[.,]\d*$")
_LIST_MARK: Final = re.compile(r"^\s*[(\[]?\d{1,2}(?:[)\].:\-]\s*|\s+)")
_INSIDE: Final[frozenset[Reason]] = frozenset(
    {Reason.SEVERAL_NUMBERS, Reason.EXTENSION, Reason.LETTERS, Reason.NOT_POSSIBLE, Reason.NOT_A_NUMBER}
)
"""Refusals of cells in which a number may stand beside something else."""


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
    """The runs of digits that are long enough, and for `…67/8` or `…67 (8)` also the number without and with its last
    digit replaced; of two numbers with a blank between them both."""
    runs = [match[0].strip() for match in _PIECE.finditer(text)][:_MOST_PIECES]
    pieces: list[str] = []
    for run in runs:
        digits = sum(map(str.isdecimal, run))
        if digits >= _LEAST_DIGITS:
            pieces += [run, _DECIMALS.sub("", run), *_of_last_digits(run), _LIST_MARK.sub("", run), _digits_of(run)]
            pieces += _divided(run) if digits >= 2 * _LEAST_DIGITS else ()
        elif pieces and digits and run.isdecimal():
            pieces.append(pieces[-1][: -len(run)] + run)
        elif digits:
            pieces.append(run)
    # `0664/1234567`: a short run may be the area code of the next one.
    return [*pieces, *(area + rest for area, rest in pairwise(runs) if len(area) <= _LEAST_DIGITS)]


def _digits_of(run: str) -> str:
    """All digits of a run: `0151 2345678 (2)` may be one number after all."""
    return ("+" if run[0] in "+＋" else "") + "".join(str(int(c)) for c in run if c.isdecimal())


def _of_last_digits(run: str) -> list[str]:
    """Of `0664 1234567-8`: the number before the last digits, and the one that ends with them."""
    last = _LAST_DIGITS.search(run)
    if last is None or sum(map(str.isdecimal, run[: last.start()])) < _LEAST_DIGITS:
        return []
    before = run[: last.start()]
    return [before, before[: -len(last[1])] + last[1]]


def _divided(run: str) -> list[str]:
    """The groups of a run that may be a number each, if the run is nothing but numbers one after the other."""
    groups = run.split()[:_MOST_GROUPS]
    digits = [sum(map(str.isdecimal, group)) for group in groups]
    ends_well = {len(groups)}
    pieces: list[str] = []
    for start in range(len(groups) - 1, -1, -1):
        for end in range(start + 1, len(groups) + 1):
            if end in ends_well and _LEAST_DIGITS <= sum(digits[start:end]) <= _MOST_DIGITS:
                ends_well.add(start)
                pieces.append(" ".join(groups[start:end]))
    return (
        pieces if 0 in ends_well else [group for group, n in zip(groups, digits, strict=True) if n >= _LEAST_DIGITS]
    )
