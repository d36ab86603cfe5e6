"""Names and numbers that appear in several schemas, with their checks."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import AfterValidator, Field

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A short identifier: lower-case letters, digits, `-` and `_`."""


_RETRY_LIST: Final = re.compile(r"retry-([0-9a-z]{8})-[0-9a-z]{8}")


def retry_list(original: str, campaign: str) -> str:
    """The list of those recipients of `original` whom `campaign` tries again."""
    return f"retry-{original}-{campaign}"


def retried_campaign(name: str) -> str:
    """Of whose recipients a list is, where it is that of a retry; "" where it is another one."""
    match = _RETRY_LIST.fullmatch(name)
    return match[1] if match else ""


@cache
def zone_names() -> frozenset[str]:
    """Every IANA zone of the pinned package `tzdata`; the machine's own data may have others."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


def _known_zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError(f"{name!r} is no IANA time zone (for instance Europe/Paris)")
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]


def known_country(code: str) -> str:
    """The code itself.

    Raises:
        ValueError: it is none.
    """
    # Most commands have no such setting to check, and should not wait for the numbering plans.
    from phonenumbers import SUPPORTED_REGIONS

    if code not in SUPPORTED_REGIONS:
        raise ValueError(f"{code!r} is no ISO country code in capitals (for instance US or GB)")
    return code


Country = Annotated[str, AfterValidator(known_country)]

BUCKETS = 4096
"""Recipients are spread over this many buckets; must not change on a live system."""

_MULTIPLIER = 11400714819323198485
_SHIFT = 52


def bucket(number: int) -> int:
    """Bucket (0..4095) of an E.164 number: the top 12 bits of Fibonacci hashing modulo 2^64.

    The same arithmetic in ClickHouse: `bitShiftRight(number * 11400714819323198485, 52)` on UInt64.
    """
    return (number * _MULTIPLIER & 0xFFFF_FFFF_FFFF_FFFF) >> _SHIFT


def bucket_sql(column: str) -> str:
    """The ClickHouse expression of `bucket` over a UInt64 column."""
    return f"toUInt16(bitShiftRight(toUInt64({column}) * toUInt64({_MULTIPLIER}), {_SHIFT}))"


def partition_of_bucket(number_bucket: int, partitions: int) -> int:
    """Partition of the `recipients` topic that carries a bucket: contiguous ranges of buckets."""
    return number_bucket * partitions // BUCKETS
