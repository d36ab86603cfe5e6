"""What each column of a file is: decided by the operator, else by its header, else by its values, or asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from pipeline.audience.column_words import NAMES, field_name, fold, folds, names_number
from pipeline.audience.consent_columns import (
    ConsentColumn,
    Kind,
    Polarity,
    forbids,
    is_answer,
    is_moment,
    is_telling,
    is_understood,
    is_yes_or_no,
    kind_of,
    verdict_of,
)
from pipeline.audience.rejections import is_rejection
from pipeline.audience.survey import SAMPLES, Profile

Choice = Literal["phone", "country", "region", "zone", "consent", "opted_out", "attribute"]
CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)
_OWN: Final = ("country", "region", "zone")
_CONSENTS: Final[dict[Polarity | None, str]] = {"out": "opt-out", "in": "consent", "": "consent status"}
_BESIDES: Final[dict[Polarity | None, str]] = {
    "reason": "details of an opt-out",
    "proof": "details of consent",
    "mention": "and what tells of an opt-out in it",
}
"""What a column that stays an attribute says about consent besides."""
CAMPAIGN_EXPORT: Final = frozenset({"ordinal", "number", "state", "reason", "segments", "price", "aggregator_id"})
"""Columns that together only `campaign export` writes: all but the number are about the campaign, not the person."""


class ColumnsError(ValueError):
    """The columns cannot be used as they are; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an operator decided: (role, column) pairs, and columns to leave out; by header or by place from 1."""

    roles: tuple[tuple[Choice, str], ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each part of a contact stands in a row of `width` cells; None where the file has no such column."""

    width: int
    phone: int
    country: int | None
    region: int | None
    zone: int | None
    consents: tuple[ConsentColumn, ...]
    attributes: tuple[tuple[str, int], ...]
    """(name, position) of every other named column."""
    phones: tuple[int, ...] = ()
    """Every column of numbers, `phone` among them: whoever opts out does so with all of them."""
    least: int = 0
    """Cells that a row has at least: up to the last column with a name."""
    has_reason: bool = False
    """The last column has the reasons of an earlier rejection."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What an operator should know about how the columns were taken."""

    def fits(self, row: Sequence[str]) -> bool:
        """Whether each cell of a row belongs to a column: some may be missing where no column has a name."""
        return len(row) == self.width or (len(row) >= self.least and not any(row[self.width :]))

    def role_of(self, position: int) -> str:
        """What a column is taken for, in a word or two."""
        if position == self.phone:
            return "phone"
        polarity = next((consent.polarity for consent in self.consents if consent.position == position), None)
        if polarity in _CONSENTS:
            return _CONSENTS[polarity]
        names = [name for name, place in self.attributes if place == position]
        own = next((role for role in _OWN if getattr(self, role) == position), "")
        taken = own or (f"attribute {{{names[0]}}}" if names else "ignored")
        return f"{taken}, {_BESIDES[polarity]}" if polarity in _BESIDES else taken


def columns_of(
    header: Sequence[str], profiles: Sequence[Profile] | None = None, choices: Choices | None = None
) -> Columns:
    """What each column is. Headers are compared without case, accents and punctuation; unnamed ones are ignored.

    `profiles` are what a first pass over the rows found; without them nothing is judged by its values.

    Raises:
        ColumnsError: no column with the number, two of one name, or consent that is not understood.
    """
    return _Taken(header, profiles, choices or Choices()).columns()


def position_of(header: Sequence[str], name: str) -> int:
    """The place of the column that an operator names: by its header as it stands, folded, or its number from 1.

    Raises:
        ColumnsError: there is none.
    """
    exact = [i for i, title in enumerate(header) if title.strip() == name.strip()]
    folded = [i for i, title in enumerate(header) if fold(title) == fold(name) and fold(name)]
    if exact or folded:
        return (exact or folded)[0]
    if name.isascii() and name.isdigit() and 1 <= int(name) <= len(header):
        return int(name) - 1
    raise ColumnsError(f"there is no column {name!r}; the file has {quoted(header)}")


def quoted(header: Iterable[str]) -> str:
    """The names of a header for a message."""
    names = [repr(name[:60]) for name in header]
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def named_width(header: Sequence[str]) -> int:
    """How many columns there are up to the last one with a name."""
    return max((i + 1 for i, name in enumerate(header) if name.strip()), default=0)


def first_named(role: str, header: Sequence[str], free: Sequence[int]) -> int | None:
    """The column of a role by its header, the best name first."""
    folded = {name: i for i in reversed(free) for name in folds(header[i])}
    return next((folded[name] for name in NAMES[role] if name in folded), None)


class _Taken:
    def __init__(self, header: Sequence[str], profiles: Sequence[Profile] | None, choices: Choices) -> None:
        self.header = header
        self.profiles = profiles
        self.notes: list[str] = []
        self.chosen: dict[int, Choice] = {}
        for role, name in choices.roles:
            self.chosen[position_of(header, name)] = role
        for role in ("phone", *_OWN):
            if sum(taken == role for taken in self.chosen.values()) > 1:
                raise ColumnsError(f"--column {role}=… can name one column only")
        self.ignored = {position_of(header, name) for name in choices.ignored}
        if set(header) >= CAMPAIGN_EXPORT:
            self.ignored |= {i for i, name in enumerate(header) if name != "number" and i not in self.chosen}
            self.notes.append("the file is the export of a campaign: only its numbers are taken")
        self.has_reason = self._has_reason()
        if self.has_reason:
            self.ignored.add(len(header) - 1)

    def columns(self) -> Columns:
        phone = self._phone()
        own = {role: self._own(role, phone) for role in _OWN}
        consents = self._consents({phone, *(place for place in own.values() if place is not None)})
        taken = {phone, *(consent.position for consent in consents if consent.polarity in _CONSENTS)}
        taken |= {place for role, place in own.items() if place is not None and self._is_plain(role, place)}
        phones = [i for i in self._free() if i != phone and self._may_be_number(i) and i not in taken]
        return Columns(
            width=len(self.header),
            least=named_width(self.header),
            phone=phone,
            country=own["country"],
            region=own["region"],
            zone=own["zone"],
            consents=consents,
            attributes=self._attributes(taken),
            phones=(phone, *phones),
            has_reason=self.has_reason,
            notes=tuple(self.notes),
        )

    def _free(self) -> list[int]:
        return [i for i in range(len(self.header)) if i not in self.chosen and i not in self.ignored]

    def _has_reason(self) -> bool:
        if not self.header or fold(self.header[-1]) != "reason" or self.profiles is None:
            return False
        values = self.profiles[-1].values
        return bool(values) and all(is_rejection(value) for value in values)

    def _is_plain(self, role: str, place: int) -> bool:
        """Whether the column has the role's own name, so that it is no attribute besides."""
        return fold(self.header[place]) == role or self.chosen.get(place) == role

    def _own(self, role: str, phone: int) -> int | None:
        chosen = next((i for i, taken in self.chosen.items() if taken == role), None)
        if chosen is not None:
            return chosen
        return first_named(role, self.header, [i for i in self._free() if i != phone and not self._is_status(i)])

    def _phone(self) -> int:
        chosen = next((i for i, taken in self.chosen.items() if taken == "phone"), None)
        if chosen is None:
            free = self._free()
            likely = [i for i in free if not is_answered(self._profile(i))]
            chosen = first_named("phone", self.header, likely)
            chosen = first_named("phone", self.header, free) if chosen is None else chosen
        if chosen is not None:
            return chosen
        named = [i for i in self._free() if self._may_be_number(i)]
        if len(named) == 1:
            self.notes.append(f"the number is taken from column {self.header[named[0]]!r}")
            return named[0]
        if named:
            raise ColumnsError(
                f"several columns may be the number: {quoted(self.header[i] for i in named)}; name one with "
                f"--column phone={self.header[named[0]]!r}"
            )
        raise ColumnsError(self._without_number())

    def _without_number(self) -> str:
        if any(is_like_a_number(name) for name in self.header):
            return (
                f"the first line is no header but a contact: {quoted(self.header)}. Add a line with the names of the "
                "columns, or say --no-header --column phone=1 (the place of the number)"
            )
        like = [i for i in self._free() if self.profiles is not None and self.profiles[i].looks_like_numbers]
        hint = (
            f". {quoted(self.header[i] for i in like)} looks like it: --column phone={self.header[like[0]]!r}"
            if like
            else "; name it with --column phone=NAME"
        )
        return "no column is called phone, mobile, number or the like in any language we know; found: " + (
            f"{quoted(self.header)}{hint}"
        )

    def _profile(self, position: int) -> Profile | None:
        return self.profiles[position] if self.profiles is not None else None

    def _may_be_number(self, position: int) -> bool:
        return names_number(self.header[position]) and not is_answered(self._profile(position))

    def _is_status(self, position: int) -> bool:
        """Whether the values of a column say who has opted out, whatever its header says."""
        profile = self._profile(position)
        return profile is not None and bool(profile.mentions) and _says_mostly(profile)

    def _consents(self, used: set[int]) -> tuple[ConsentColumn, ...]:
        consents: list[ConsentColumn] = []
        for position, name in enumerate(self.header):
            choice = self.chosen.get(position)
            if choice in ("consent", "opted_out"):
                consents.append(self._consent(position, "in" if choice == "consent" else "out"))
            elif choice is None and position not in self.ignored:
                is_used = position in used or (names_number(name) and self._may_be_number(position))
                polarity = self._besides(position, used) if is_used else self._polarity(position, name)
                if polarity is not None:
                    consents.append(self._consent(position, polarity))
        says_who_agreed = any(consent.polarity in ("in", "out", "") for consent in consents)
        return tuple(
            replace(consent, blank_is_doubtful=not says_who_agreed and bool(self._values(consent.position)))
            if consent.polarity == "proof"
            else consent
            for consent in consents
        )

    def _values(self, position: int) -> list[str]:
        profile = self._profile(position)
        return list(profile.values) if profile is not None else []

    def _consent(self, position: int, polarity: Polarity) -> ConsentColumn:
        profile = self._profile(position)
        values = self._values(position)
        says_yes = polarity in ("in", "") and any(verdict_of(value, polarity) == "in" for value in values)
        is_long = polarity == "in" and profile is not None and profile.full
        return ConsentColumn(position, self.header[position].strip(), polarity, says_yes or is_long)

    def _polarity(self, position: int, name: str) -> Polarity | None:
        """What a column says about consent; None where it is about something else.

        Raises:
            ColumnsError: it looks like consent, and what its values mean is not certain.
        """
        kind = kind_of(name)
        if kind == "other_channel":
            self.notes.append(f"column {name!r} is about another channel than texts: it is an attribute, no consent")
            return None
        profile = self._profile(position)
        if profile is None:
            return kind if kind in ("out", "in", "reason", "proof") else None
        values = list(profile.values)
        if kind in ("out", "in"):
            if values and not any(is_understood(value, "out" if kind == "out" else "in") for value in values):
                raise ColumnsError(self._question(position))
            return "out" if kind == "out" else "in"
        if kind == "reason":
            if values and not profile.blanks and all(verdict_of(value, "reason") == "held" for value in values):
                raise ColumnsError(self._question(position))
            return "reason"
        is_long = profile.full and kind is None
        if profile.mentions and not is_long and _says_mostly(profile):
            return ""
        if kind == "unclear" and values and all(map(is_telling, values)):
            return ""
        if _is_unclear(kind, values):
            raise ColumnsError(self._question(position))
        return "proof" if kind == "proof" else self._mention(position)

    def _besides(self, position: int, used: set[int]) -> Polarity | None:
        """What the column of another role says about consent.

        Raises:
            ColumnsError: as `_polarity`.
        """
        profile = self._profile(position)
        if position in used and profile is not None and _is_unclear(None, list(profile.values)):
            raise ColumnsError(self._question(position))
        return self._mention(position)

    def _mention(self, position: int) -> Polarity | None:
        """Of a column about something else: whether some of its cells tell of an opt-out."""
        profile = self._profile(position)
        if profile is None or not profile.mentions:
            return None
        name = self.header[position]
        self.notes.append(
            f"column {name!r} is not about consent, but some of its cells tell of an opt-out "
            f"({quoted(list(profile.mentions)[:SAMPLES])}): nothing is sent to these people. If the cells mean "
            f"something else, say --column {self._role(position)}={name!r}"
        )
        return "mention"

    def _role(self, position: int) -> Choice:
        """The role that an operator can confirm a column in."""
        name = self.header[position]
        return next(
            (role for role in ("country", "region", "zone") if set(folds(name)) & set(NAMES[role])), "attribute"
        )

    def _question(self, position: int) -> str:
        name = self.header[position]
        samples = self._values(position)[:SAMPLES]
        return (
            f"column {name!r} looks like consent, but what its values mean is not certain "
            f"({quoted(samples)}), so nothing was imported. Say which: --column consent={name!r} (yes means: "
            f"may be written to), --column opted_out={name!r} (yes means: must not), "
            f"--column {self._role(position)}={name!r} (not about consent), or --ignore-column {name!r}"
        )

    def _attributes(self, taken: set[int]) -> tuple[tuple[str, int], ...]:
        placed: dict[str, int] = {}
        for position, header in enumerate(self.header):
            name = field_name(header)
            if not name or position in taken or position in self.ignored:
                continue
            if name in placed:
                raise ColumnsError(
                    f"two columns named {name!r}: rename one of them, or leave one out with --ignore-column "
                    f"{position + 1}; found: {quoted(self.header)}"
                )
            placed[name] = position
        return tuple(placed.items())


def is_answered(profile: Profile | None) -> bool:
    """Whether a column has nothing but "yes" and "no", so that it is no column of numbers."""
    return profile is not None and bool(profile.values) and all(map(is_yes_or_no, profile.values))


def _says_mostly(profile: Profile) -> bool:
    """Whether most of a column's values say who may be written to: "subscribed", "blocked"."""
    return 2 * sum(map(is_telling, profile.values)) > len(profile.values)


def _is_unclear(kind: Kind | None, values: list[str]) -> bool:
    """Whether values are about consent, or may be, and the header does not say what they mean."""
    if not values:
        return False
    if kind == "question":
        return True
    plain = any(map(is_yes_or_no, values))
    words = any(map(forbids, values))
    if kind == "unclear":
        return plain or words or any(map(is_moment, values))
    if kind == "status":
        return words
    all_answer = all(map(is_answer, values))
    return all_answer and (words or (kind in ("asks", "proof") and plain))


def is_like_a_number(text: str) -> bool:
    """Whether a header is itself a phone number: then it is the first contact of a file without header."""
    profile = Profile()
    profile.add([text])
    return profile.like_numbers > 0
