"""A phone number as written in a file → its E.164 digits and country, as phonenumbers has it.

`read` answers the common forms with `_quick`: the regular expressions of phonenumbers' own metadata in
phonenumbers' own order, about 3 µs a number instead of 60. `_quick` only ever accepts, and only what it is sure
of; whatever else it leaves to `read_slowly`, which is phonenumbers alone and has the last word on every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneNumberType, ValidationResult
from phonenumbers import phonenumberutil as util
from phonenumbers.phonemetadata import PhoneMetadata
from phonenumbers.phonenumber import PhoneNumber
from phonenumbers.re_util import enable_pattern_cache

from pipeline.number_twins import canonical, canonical_many, spellings

__all__ = ["LONGEST_E164", "MAX_E164", "Accepted", "Refusal", "canonical", "canonical_many", "read", "read_slowly",
           "spellings"]  # fmt: skip

Refusal = Literal[
    "missing_number", "not_a_number", "no_country", "not_possible", "not_valid", "extension", "premium_rate"
]

LONGEST_TEXT = 40
LONGEST_E164 = 15
MAX_E164 = 10**LONGEST_E164 - 1
_PUNCTUATION = {ord(c): None for c in " -().\u00a0"}
_SCIENTIFIC = re.compile(r"\+?\d+(?:[.,]\d+)?[eE]\+?\d+")
_FLOAT = re.compile(r"\+?\d{7,15}\.0+")
_COSTLY = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
_NOWHERE = "001"
"""phonenumbers' region of calling codes that belong to no country."""

enable_pattern_cache()


class Accepted(NamedTuple):
    """A number that a text can be sent to: E.164 digits, and the ISO country (`001` = international)."""

    number: int
    country: str


def read(text: str, country: str) -> Accepted | Refusal:
    """The number in `text`, in its canonical spelling; `country` (ISO, or "") is where it is from if written
    without `+`.

    Landlines and toll-free numbers are accepted: some take texts, and the aggregator says which do not. Premium
    and shared-cost numbers are refused, because whoever answers there is paid by the sender.
    """
    text = text.strip()
    if text[-2:] == ".0" and _FLOAT.fullmatch(text):
        text = text.split(".")[0]
    return _quick(text, country) or read_slowly(text, country)


def read_slowly(text: str, country: str) -> Accepted | Refusal:
    """As `read`, by phonenumbers alone."""
    if not text:
        return "missing_number"
    if _SCIENTIFIC.fullmatch(text):
        return "not_a_number"
    try:
        parsed = util.parse(text, country or None)
    except NumberParseException as error:
        return _refusal_of(error, text)
    if parsed.extension:
        return "extension"
    outcomes = [_judge(spelled) for spelled in _spelled(parsed)]
    return next((one for one in outcomes if isinstance(one, Accepted)), outcomes[0])


def _spelled(parsed: PhoneNumber) -> Iterator[PhoneNumber]:
    """The number and its other spelling, if its plan has one: one of them being valid is enough."""
    yield parsed
    number = _e164(parsed)
    for other in spellings(number):
        if other != number:
            yield util.parse(f"+{other}", None)


def _judge(parsed: PhoneNumber) -> Accepted | Refusal:
    possible = util.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        return "not_possible"
    if not util.is_valid_number(parsed):
        return "not_valid"
    if util.number_type(parsed) in _COSTLY:
        return "premium_rate"
    number = canonical(_e164(parsed))
    region = util.region_code_for_number(parsed)
    return Accepted(number, region) if number <= MAX_E164 and region else "not_possible"


def _e164(parsed: PhoneNumber) -> int:
    return int(util.format_number(parsed, util.PhoneNumberFormat.E164)[1:])


def _refusal_of(error: NumberParseException, text: str) -> Refusal:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return "not_possible" if text.lstrip(" (").startswith(("+", "＋")) else "no_country"
    if error.error_type == NumberParseException.NOT_A_NUMBER:
        return "not_a_number"
    return "not_possible"


def _quick(text: str, country: str) -> Accepted | None:
    if len(text) > LONGEST_TEXT:
        return None
    digits = text.translate(_PUNCTUATION)
    if digits[:1] == "+":
        digits = digits[1:]
        split = _international(digits)
    else:
        split = _national(digits, country)
    if split is None or split[1][0] == "0":
        return None
    code, national = split
    if len(code) + len(national) > LONGEST_E164:
        return None
    region = _region_with_handsets(code, national)
    return Accepted(canonical(int(code + national)), region) if region else None


def _plain(digits: str) -> bool:
    return digits.isascii() and digits.isdigit()


def _international(digits: str) -> tuple[str, str] | None:
    """(calling code, national number) of digits that followed a `+`; None where a prefix may need stripping."""
    if not _plain(digits):
        return None
    code = digits[:1] if digits[:1] in _codes() else digits[:2] if digits[:2] in _codes() else digits[:3]
    national = digits[len(code) :]
    if code not in _codes() or not national:
        return None
    plan = _plan_of_code(code)
    if plan is None or (plan.prefix is not None and plan.prefix.match(national)):
        return None
    return code, national


def _national(digits: str, country: str) -> tuple[str, str] | None:
    """(calling code, national number) of digits written as in `country`; None where it could be read otherwise."""
    if not country or not _plain(digits):
        return None
    plan = _plan(country)
    if plan is None or plan.idd.match(digits):
        return None
    if digits.startswith(plan.code):
        rest = digits[len(plan.code) :]
    else:
        match = plan.prefix.match(digits) if plan.prefix is not None else None
        if match is None:
            return plan.code, digits
        rest = digits[match.end() :]
    # Stripping is certain only when it turns what is no number here into one that has no prefix left.
    if not plan.simple_prefix or plan.general.fullmatch(digits) or not plan.general.fullmatch(rest):
        return None
    if len(rest) not in plan.lengths or (plan.prefix is not None and plan.prefix.match(rest)):
        return None
    return plan.code, rest


def _region_with_handsets(code: str, national: str) -> str | None:
    """phonenumbers' region of the number if it is a fixed or mobile number there and costs nothing extra."""
    length = len(national)
    regions = _regions(code)
    for region in regions:
        kinds = _kinds(region, length)
        if kinds is None:
            if len(regions) == 1:
                return None
            continue
        if kinds.leading is not None:
            if not kinds.leading.match(national):
                continue
        elif len(regions) > 1 and not _known(kinds, national):
            continue
        usable = kinds.general.fullmatch(national) and kinds.handset.fullmatch(national)
        return region if usable and not kinds.special.fullmatch(national) else None
    return None


def _known(kinds: _Kinds, national: str) -> bool:
    if not kinds.general.fullmatch(national):
        return False
    return bool(kinds.handset.fullmatch(national) or kinds.special.fullmatch(national))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How numbers are written in a country: its calling code and prefixes (regular expressions)."""

    code: str
    idd: re.Pattern[str]
    prefix: re.Pattern[str] | None
    simple_prefix: bool
    general: re.Pattern[str]
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Kinds:
    """What numbers of one length are in a region; `special` is every kind that is neither fixed nor mobile."""

    leading: re.Pattern[str] | None
    general: re.Pattern[str]
    handset: re.Pattern[str]
    special: re.Pattern[str]


@cache
def _codes() -> frozenset[str]:
    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


@cache
def _regions(code: str) -> tuple[str, ...]:
    return tuple(COUNTRY_CODE_TO_REGION_CODE[int(code)])


@cache
def _plan_of_code(code: str) -> _Plan | None:
    return _plan(_regions(code)[0])


@cache
def _plan(country: str) -> _Plan | None:
    if country == _NOWHERE:
        return None
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None or metadata.general_desc is None or not metadata.general_desc.national_number_pattern:
        return None
    prefix = re.compile(metadata.national_prefix_for_parsing) if metadata.national_prefix_for_parsing else None
    return _Plan(
        code=str(metadata.country_code),
        idd=re.compile(metadata.international_prefix or r"(?!)"),
        prefix=prefix,
        simple_prefix=prefix is None or (prefix.groups == 0 and not metadata.national_prefix_transform_rule),
        general=re.compile(metadata.general_desc.national_number_pattern),
        lengths=metadata.general_desc.possible_length,
    )


@cache
def _kinds(region: str, length: int) -> _Kinds | None:
    metadata = PhoneMetadata.metadata_for_region(region, None) if region != _NOWHERE else None
    if metadata is None:
        return None
    handset = [metadata.fixed_line]
    if not metadata.same_mobile_and_fixed_line_pattern:
        handset.append(metadata.mobile)
    special = [
        metadata.premium_rate,
        metadata.toll_free,
        metadata.shared_cost,
        metadata.voip,
        metadata.personal_number,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
    ]
    return _Kinds(
        leading=re.compile(metadata.leading_digits) if metadata.leading_digits else None,
        general=_any_of([metadata.general_desc], length),
        handset=_any_of(handset, length),
        special=_any_of(special, length),
    )


def _any_of(descriptions: list[Any], length: int) -> re.Pattern[str]:
    patterns = [
        f"(?:{d.national_number_pattern})"
        for d in descriptions
        if d is not None and d.national_number_pattern and (not d.possible_length or length in d.possible_length)
    ]
    return re.compile("|".join(patterns) or r"(?!)")
