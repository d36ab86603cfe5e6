"""Which time zones a recipient may be in: the contact's own, else the candidates by the number, else the store's.

Candidates are those of phonenumbers' `time_zones_for_number`: the longest prefix in its data for a number that is
tied to a place, all zones of the calling code for one that is not (mobiles of most countries, toll-free). The prefix
alone would be unsafe: phonenumbers has `79` as Moscow, but a Russian mobile may be anywhere from Kaliningrad to
Kamchatka. Two exceptions. Within +1 an area code stands for its own place even for numbers that phonenumbers calls
mobile there (Bermuda, Jamaica), where it would give all 42 zones of North America. And rules/zones.toml adds zones
to a few overlay area codes, whose places phonenumbers does not know in full.

A set of zones travels as a small integer, valid within one process: its index in `zone_sets()`. 0 is "not known".
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from pipeline.numbers.placed import are_placed
from pipeline.timing.public_holidays import holiday
from schemas.audience import Indices
from schemas.ids import zone_names
from schemas.reasons import Reason

ZoneSet = tuple[str, ...]
ZoneIds = NDArray[np.int32]
Policy = Literal["store", "skip"]

UNKNOWN: Final = 0
_DIGITS: Final = 15
_NORTH_AMERICA: Final = 1


def candidate_zones(number: int) -> ZoneSet:
    """The zones that an E.164 number may be in, () if phonenumbers knows none."""
    return zone_sets()[int(candidate_ids(np.array([number], np.uint64))[0])]


def zones_of(
    contact_zone: str, number: int, store_zone: str, unknown: Policy
) -> ZoneSet | Literal[Reason.UNKNOWN_ZONE]:
    """Zones in all of which a message must be allowed, or the reason to skip. A contact's zone that the pinned data
    does not have counts as none."""
    index = int(zone_ids(np.array([number], np.uint64), [contact_zone], [0], store_zone, unknown)[0])
    return zone_sets()[index] if index else Reason.UNKNOWN_ZONE


def zone_ids(
    numbers: NDArray[np.uint64], zones: Sequence[str], zone: Indices, store_zone: str, unknown: Policy
) -> ZoneIds:
    """`zones_of` for a chunk: `zones[zone[i]]` is the contact's zone of `numbers[i]` ("" = none). UNKNOWN: skip."""
    own = np.array([id_of((name,)) if name in zone_names() else UNKNOWN for name in zones], np.int32)
    ids: ZoneIds = own[np.asarray(zone, np.int64)]
    left = np.flatnonzero(ids == UNKNOWN)
    if len(left):
        ids[left] = candidate_ids(numbers[left])
        if unknown == "store":
            ids[ids == UNKNOWN] = id_of((store_zone,))
    return ids


def candidate_ids(numbers: NDArray[np.uint64]) -> ZoneIds:
    """`candidate_zones` of many numbers, as indices into `zone_sets()`."""
    table = _table()
    lengths = np.searchsorted(_POWERS, numbers, side="right")
    rows = np.searchsorted(table.starts, numbers * _SHIFTS[lengths], side="right") - 1
    ids: ZoneIds = table.near[rows]
    short = lengths < TIMEZONE_LONGEST_PREFIX
    for place in np.flatnonzero(short).tolist():
        ids[place] = _slowly(int(numbers[place]))
    doubtful = np.flatnonzero(table.doubtful[rows] & ~short)
    if len(doubtful):
        ids[doubtful] = _placed_or_not(table, numbers[doubtful], rows[doubtful])
    return ids


def _placed_or_not(table: _Table, numbers: NDArray[np.uint64], rows: NDArray[np.int64]) -> ZoneIds:
    """The zones of the prefix for those tied to a place, of the calling code for the others."""
    codes = table.code[rows]
    placed = np.zeros(len(rows), np.bool_)
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        mine = np.flatnonzero(codes == code)
        placed[mine] = are_placed(code, numbers[mine].tolist())
    return np.where(placed, table.near[rows], table.far[rows])


@cache
def zone_sets() -> tuple[ZoneSet, ...]:
    """Every set of candidates that phonenumbers has, and every single zone; the first is "not known"."""
    single = ((name,) for name in sorted(zone_names()))
    return tuple(dict.fromkeys(((), *sorted({*_data().values(), *single}))))


def id_of(zones: ZoneSet) -> int:
    """The index of a set of zones in `zone_sets()`.

    Raises:
        ValueError: it is none of them.
    """
    zone_id = _ids().get(zones)
    if zone_id is None:
        raise ValueError(f"{', '.join(zones)}: neither an IANA time zone nor the candidates of any number")
    return zone_id


_POWERS: Final = np.array([10**n for n in range(_DIGITS + 1)], np.uint64)
_SHIFTS: Final = np.array([1, *(10 ** (_DIGITS - n) for n in range(1, _DIGITS + 1)), 1], np.uint64)


class _Table:
    """Prefixes as ranges of numbers filled up to 15 digits: row i is [starts[i], starts[i + 1])."""

    def __init__(self) -> None:
        ranges = {prefix: (_filled(prefix), _filled(prefix, 1)) for prefix in _data()}
        starts = sorted({0, *(edge for pair in ranges.values() for edge in pair)})
        self.starts = np.array(starts, np.uint64)
        self.near: ZoneIds = np.array([_ids()[_longest(f"{start:015d}")] for start in starts], np.int32)
        codes = [_calling_code(f"{start:015d}") for start in starts]
        self.code = np.array([int(code or 0) for code in codes])
        self.far: ZoneIds = np.array([_ids()[_longest(code)] for code in codes], np.int32)
        self.doubtful = (self.near != self.far) & (self.code > _NORTH_AMERICA)


def _filled(prefix: str, more: int = 0) -> int:
    return int(str(int(prefix) + more) + "0" * (_DIGITS - len(prefix)))


def _longest(digits: str) -> ZoneSet:
    for length in range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1):
        zones = _data().get(digits[:length])
        if zones is not None:
            return zones
    return ()


def _slowly(number: int) -> int:
    digits = str(number)
    code = _calling_code(digits)
    near = code in ("", str(_NORTH_AMERICA)) or are_placed(int(code), [number])[0]
    index: int = _ids()[_longest(digits if near else code)]
    return index


def _calling_code(digits: str) -> str:
    return next((digits[:length] for length in (1, 2, 3) if digits[:length] in _codes()), "")


@cache
def _data() -> dict[str, ZoneSet]:
    """phonenumbers' zones by prefix, with those of rules/zones.toml added."""
    data: dict[str, ZoneSet] = {prefix: tuple(zones) for prefix, zones in TIMEZONE_DATA.items()}
    added = tomllib.loads(files("pipeline.rules").joinpath("zones.toml").read_text(encoding="utf-8"))["prefix"]
    for entry in added:
        prefix = entry["prefix"]
        data[prefix] = tuple(sorted({*data.get(prefix, ()), *entry["zones"]}))
    return data


@cache
def _codes() -> frozenset[str]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


@cache
def _ids() -> dict[ZoneSet, int]:
    return {zones: index for index, zones in enumerate(zone_sets())}


@cache
def _table() -> _Table:
    return _Table()


def read_rules(now: int) -> None:
    """Read what the rules of time read once, as of `now` (ms): whoever asks first would wait for half a second."""
    candidate_ids(np.array([12_125_550_100, 33_612_345_678], np.uint64))
    for country in ("US", "FR"):
        holiday(country, datetime.fromtimestamp(now / 1000, UTC).date())
