"""Whether a number is tied to a place, as phonenumbers has it: fixed lines are, and mobiles of five countries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberType
from phonenumbers import phonenumberutil as util
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

_SPECIAL: Final = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")
_NEVER: Final = r"(?!)"


def are_placed(code: int, numbers: Sequence[int]) -> list[bool]:
    """Which E.164 numbers of the calling code `code` are tied to a place; about 1 µs each.

    Where the regions of a calling code differ, a number that any of them has as one without a place is such a one.
    """
    matches, start = _placed(code), len(str(code))
    return [matches(str(number), start) is not None for number in numbers]


@cache
def _placed(code: int) -> Callable[[str, int], re.Match[str] | None]:
    regions = COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    metadata = [
        region_metadata
        for region in regions
        if (region_metadata := PhoneMetadata.metadata_for_region(region, None)) is not None
    ]
    mobile = util.is_number_type_geographical(PhoneNumberType.MOBILE, code)
    placed = [region_data.fixed_line for region_data in metadata] + [
        region_data.mobile for region_data in metadata if mobile
    ]
    special = [getattr(region_data, kind) for region_data in metadata for kind in _SPECIAL]
    return re.compile(f"(?!(?:{_any_of(special)})$)(?:{_any_of(placed)})").fullmatch


def _any_of(descriptions: list[PhoneNumberDesc | None]) -> str:
    patterns = dict.fromkeys(
        description.national_number_pattern
        for description in descriptions
        if description is not None and description.national_number_pattern
    )
    return "|".join(f"(?:{pattern})" for pattern in patterns) or _NEVER
