"""Whether a file means its numbers without `+` as national or as international: judged from all of it.

`33612345678` is a French number, and a German one if it was written in Germany without the 0. One such number says
nothing; a file does, by those of its numbers that can be read in one way only:

- international, if nine in ten of those are, and they are one in fifty of the numbers without `+` at least;
- national, if nine in ten of those are, and they are one in five at least: a slip in an international number can make
  a national one of it, seldom the other way round;
- else nothing is certain, and none of them is taken.

Only digits that do not begin with 0 are in question: no calling code does. A number that is the same both ways counts
for neither side.

The judge also sees whether the numbers were rounded before they came into the file: by a program that kept them with
24 bits (float32), or by a spreadsheet that showed the first digits and zeros. Two people are then one number, which
belongs to a third, and no row of such a file can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pipeline.numbers.numbering import (
    Accepted,
    Bare,
    digits_of,
    is_bare,
    is_written_at_home,
    read_international,
    read_national,
)
from schemas.reasons import Reason, with_remedy

Choice = Literal["", "national", "international"]
SAMPLES: Final = 3
LOOK_AT_FIRST: Final = 5_000
"""So many numbers are looked at one by one; of as many more every second, then every fourth, and so on."""
_AGREE: Final = 0.9
_LEAST_INTERNATIONAL: Final = 0.02
_LEAST_NATIONAL: Final = 0.2
_ROUNDED_LOOKED_AT: Final = 5_000
_LEAST_ROUNDED: Final = 5
_SHARE_OF_FLOAT32: Final = 0.9
_SHARE_OF_ZEROS: Final = 0.2
_LONG: Final = 10**9
_ZEROS: Final = 100_000
_CONCLUSIONS: Final[Mapping[Bare, str]] = {
    "international": "So numbers without + are read as international; --numbers national decides otherwise",
    "national": "So numbers without + are read as national; --numbers international decides otherwise",
    "undecided": "That decides nothing, so they are rejected as ambiguous: say what they are with --numbers national "
    "or --numbers international",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A number without `+` as written, and what it is read as in both ways ("" = no number)."""

    written: str
    national: str
    international: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How numbers without `+` are read in a file, why in words, and some of them."""

    bare: Bare
    why: str
    samples: tuple[Sample, ...] = ()


@dataclass(slots=True)
class NumberJudge:
    """Collects what the numbers of a file say; bounded, however large the file is."""

    bare: int = 0
    national: int = 0
    international: int = 0
    both: int = 0
    looked_at: int = 0
    samples: list[Sample] = field(default_factory=list)
    long: int = 0
    float32: int = 0
    zeros: int = 0
    _stride: int = 1
    _next: int = 0
    _plainest: list[Sample] = field(default_factory=list)

    def look(self, text: str, country: str) -> None:
        """Take a cell into account; `country` (ISO, or "") is where its number is from if written without `+`."""
        digits = ""
        if not self.knows_rounding:
            digits = digits_of(text)
            self._look_for_rounding(digits)
        if text[:1] in ("+", "0", "") or not country:
            return
        digits = digits or digits_of(text)
        if not is_bare(digits) or not digits.isdecimal() or is_written_at_home(text, country):
            return
        self.bare += 1
        if self.bare <= self._next:
            return
        self._next = self.bare - 1 + self._stride
        self.looked_at += 1
        if self.looked_at % LOOK_AT_FIRST == 0:
            self._stride *= 2
        self._weigh(text, read_national(digits, country), read_international(digits))

    @property
    def knows_rounding(self) -> bool:
        """Whether enough numbers were seen to say whether they were rounded."""
        return self.long >= _ROUNDED_LOOKED_AT

    def _look_for_rounding(self, digits: str) -> None:
        number = int(digits) if digits.removeprefix("+").isdecimal() else 0
        if number < _LONG:
            return
        self.long += 1
        self.float32 += number & ((1 << (number.bit_length() - 24)) - 1) == 0
        self.zeros += number % _ZEROS == 0

    def rounding(self) -> str:
        """Why the numbers of the file cannot be trusted, in words; "" where nothing speaks against them."""
        if self.float32 >= max(_LEAST_ROUNDED, _SHARE_OF_FLOAT32 * self.long):
            return (
                f"{self.float32:,} of {self.long:,} numbers are such as a program has left that kept them in 24 bits "
                "(float32): their last digits are lost, and they are other people's numbers now"
            )
        if self.zeros >= max(_LEAST_ROUNDED, _SHARE_OF_ZEROS * self.long):
            return (
                f"{self.zeros:,} of {self.long:,} numbers end in five zeros: a spreadsheet has rounded them, their "
                "last digits are lost, and they are other people's numbers now"
            )
        return ""

    def _weigh(self, text: str, national: Accepted | Reason, international: Accepted | Reason) -> None:
        here, abroad = isinstance(national, Accepted), isinstance(international, Accepted)
        if national == international or not (here or abroad):
            return
        kept = self.samples if here and abroad else self._plainest
        if len(kept) < SAMPLES:
            kept.append(Sample(text, _shown(national), _shown(international)))
        if here and abroad:
            self.both += self._stride
        elif here:
            self.national += self._stride
        else:
            self.international += self._stride

    def verdict(self, choice: Choice = "") -> Verdict:
        """How to read the file's numbers without `+`; `choice` is what the operator said, if anything."""
        samples = tuple((*self.samples, *self._plainest)[:SAMPLES])
        if choice:
            return Verdict(choice, f"read as {choice}, as --numbers says", samples)
        one_way, in_question = self.national + self.international, self.national + self.international + self.both
        if not in_question:
            return Verdict("alone", "")
        bare: Bare = "undecided"
        if self.international and self.international >= max(_AGREE * one_way, _LEAST_INTERNATIONAL * in_question):
            bare = "international"
        elif self.national and self.national >= max(_AGREE * one_way, _LEAST_NATIONAL * in_question):
            bare = "national"
        return Verdict(bare, f"{self._counts(in_question)}. {_CONCLUSIONS[bare]}", samples)

    def _counts(self, in_question: int) -> str:
        about = "" if self._stride == 1 else "about "
        return (
            f"{about}{in_question:,} numbers without + depend on how they are read: {self.international:,} are "
            f"numbers only as international, {self.national:,} only as national, {self.both:,} both ways"
        )


def explain_refusal(reason: Reason, text: str, country: str) -> str:
    """The reason in words, with what to do; of an ambiguous number both readings."""
    digits = digits_of(text)
    if reason != Reason.AMBIGUOUS or not digits.isdecimal():
        return with_remedy(reason)
    national, international = read_national(digits, country), read_international(digits)
    here = f"as a number of {country} {_told(national)}" if country else "its country is not known"
    return (
        f"{here}, as an international one {_told(international)}: write it with + and country code, or say which it "
        "is (--numbers national or --numbers international)"
    )


def _shown(outcome: Accepted | Reason) -> str:
    return f"+{outcome.number}" if isinstance(outcome, Accepted) else ""


def _told(outcome: Accepted | Reason) -> str:
    return f"it is +{outcome.number}" if isinstance(outcome, Accepted) else "it is none"
