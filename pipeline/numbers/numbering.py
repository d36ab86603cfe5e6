"""A phone number as written in a file → its E.164 digits and country, as phonenumbers has it.

`read` answers the common forms with `_quick`: the regular expressions of phonenumbers' own metadata in
phonenumbers' own order, about 3 µs a number instead of 60. `_quick` only ever accepts, and only what it is sure
of; whatever else it leaves to `read_slowly`, which is phonenumbers alone and has the last word on every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneNumberType, ValidationResult
from phonenumbers import phonenumberutil as util
from phonenumbers.phonemetadata import PhoneMetadata
from phonenumbers.phonenumber import CountryCodeSource, PhoneNumber
from phonenumbers.re_util import enable_pattern_cache

from pipeline.numbers.cleaning import clean, has_last_digits, has_more_than_number, is_capped
from pipeline.numbers.twins import canonical, canonical_many, spellings
from schemas.reasons import Reason, of_kind

__all__ = ["LONGEST_E164", "MAX_E164", "Accepted", "Bare", "calling_code", "canonical", "canonical_many",
           "digits_of", "is_bare", "is_written_at_home", "read", "read_international", "read_national",
           "spellings"]  # fmt: skip

Bare = Literal["alone", "national", "international", "undecided"]
"""How digits without `+` are read that could be meant as national or as international: by themselves (only one of
the readings is a number, or both are the same), as their file was judged to have them, or not at all because the file
says nothing certain."""

LONGEST_TEXT = 40
LONGEST_E164 = 15
MAX_E164 = 10**LONGEST_E164 - 1
_PUNCTUATION = {ord(c): None for c in " -()\u00a0"}
_DOTTED = re.compile(r"\+?\d{1,6}(?:\.\d{1,4}){2,}")
"""Dots between groups; a single one may begin a decimal part."""
_NORTH_AMERICAN = re.compile(r"\s*(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}\s*")
_REFUSALS = of_kind("number")
_COSTLY = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
_NOWHERE = "001"
"""phonenumbers' region of calling codes that belong to no country."""

enable_pattern_cache()


class Accepted(NamedTuple):
    """A number that a text can be sent to: E.164 digits, and the ISO country (`001` = international)."""

    number: int
    country: str


def read(text: str, country: str, bare: Bare = "alone") -> Accepted | Reason:
    """The number in `text`, in its canonical spelling; `country` (ISO, or "") is where it is from if written
    without `+`, and `bare` how digits are read that could be meant as national or as international.

    Landlines and toll-free numbers are accepted: some take texts, and the aggregator says which do not. Premium
    and shared-cost numbers are refused, because whoever answers there is paid by the sender.
    """
    digits = digits_of(text)
    if digits in _REFUSALS:
        return cast(Reason, digits)
    if is_bare(digits) and is_written_at_home(text, country):
        return read_national(digits, country)
    return _read_bare(digits, country, bare) if is_bare(digits) else read_explicit(digits, country)


def is_written_at_home(text: str, country: str) -> bool:
    """Whether digits are grouped as only North Americans do, and the number is from there: `(647) 504-1446`."""
    return calling_code(country) == "1" and _NORTH_AMERICAN.fullmatch(text) is not None


def digits_of(text: str) -> str | Reason:
    """The ASCII digits of a cell, after `+` if it has one; or why they cannot be told."""
    digits = _digits(text)
    if digits is not None:
        return digits
    cleaned = clean(text)
    if cleaned in _REFUSALS:
        return cleaned
    plus = "+" if "+" in cleaned or "＋" in cleaned else ""
    return plus + "".join(str(int(c)) for c in cleaned if c.isdecimal())


def is_bare(digits: str) -> bool:
    """Whether digits without `+` could begin with a calling code: none begins with 0."""
    return digits[:1] not in ("+", "0")


def read_explicit(digits: str, country: str) -> Accepted | Reason:
    """What begins with `+` or 0. `00` is taken as `+` where that is no number of the country's own."""
    outcome = _quick(digits, country) or read_slowly(digits, country)
    if isinstance(outcome, str) and digits.startswith("00"):
        abroad = read_international(digits[2:])
        return abroad if isinstance(abroad, Accepted) else outcome
    return outcome


def _read_bare(digits: str, country: str, bare: Bare) -> Accepted | Reason:
    if bare == "national":
        return _or_ambiguous(read_national(digits, country), lambda: read_international(digits))
    if bare == "international":
        return _or_ambiguous(read_international(digits), lambda: read_national(digits, country))
    if not country:
        return Reason.NO_COUNTRY
    national, international = read_national(digits, country), read_international(digits)
    if national == international:
        return national
    if isinstance(national, str) and isinstance(international, str):
        return national
    if bare == "undecided" or not (isinstance(national, str) or isinstance(international, str)):
        return Reason.AMBIGUOUS
    if isinstance(national, Accepted):
        return national
    # Digits that begin with the country's own calling code; those of others stay as they would be read at home.
    own = isinstance(international, Accepted) and digits.startswith(calling_code(country))
    return international if own else national


def _or_ambiguous(taken: Accepted | Reason, other: Callable[[], Accepted | Reason]) -> Accepted | Reason:
    """The reading that was decided on; where it is no number but the other would be, the row contradicts its file."""
    return taken if isinstance(taken, Accepted) or isinstance(other(), str) else Reason.AMBIGUOUS


def read_international(digits: str) -> Accepted | Reason:
    """Bare digits as calling code and number, as if a `+` stood before them."""
    split = _international(digits)
    quick = _accepted(split) if split is not None else None
    if quick is None and split is not None and _is_surely_none(*split):
        return Reason.NOT_VALID
    return quick or read_slowly(f"+{digits}", "")


def read_national(digits: str, country: str) -> Accepted | Reason:
    """Bare digits as a number of `country`, never as one that begins with its calling code."""
    if not country:
        return Reason.NO_COUNTRY
    plan = _plan(country)
    begins_with_code = plan is not None and digits.startswith(plan.code)
    prefix = plan.prefix.match(digits) if plan is not None and plan.prefix is not None and begins_with_code else None
    # In North America the 1 is the calling code and the national prefix: either way the same number is left.
    if not begins_with_code or (plan is not None and prefix is not None and prefix[0] == plan.code):
        return _quick(digits, country) or read_slowly(digits, country)
    try:
        parsed = util.parse(digits, country, keep_raw_input=True)
    except NumberParseException as error:
        return _refusal_of(error, digits)
    if parsed.country_code_source == CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN:
        return Reason.NOT_VALID
    return read_slowly(digits, country)


def read_slowly(text: str, country: str) -> Accepted | Reason:
    """The number in clean text, by phonenumbers alone."""
    try:
        parsed = util.parse(text, country or None)
    except NumberParseException as error:
        return _refusal_of(error, text)
    if parsed.extension:
        return Reason.EXTENSION
    outcomes = [_judge(spelled) for spelled in _spelled(parsed)]
    return next((outcome for outcome in outcomes if isinstance(outcome, Accepted)), outcomes[0])


def _spelled(parsed: PhoneNumber) -> Iterator[PhoneNumber]:
    """The number in each spelling that its plan has, the canonical one first: one of them being valid is enough."""
    number = _e164(parsed)
    for spelling in spellings(number):
        yield parsed if spelling == number else util.parse(f"+{spelling}", None)


def _judge(parsed: PhoneNumber) -> Accepted | Reason:
    possible = util.is_possible_number_with_reason(parsed)
    if possible != ValidationResult.IS_POSSIBLE:
        return Reason.NOT_POSSIBLE
    if not util.is_valid_number(parsed):
        return Reason.NOT_VALID
    if util.number_type(parsed) in _COSTLY:
        return Reason.PREMIUM_RATE
    number = canonical(_e164(parsed))
    region = util.region_code_for_number(parsed)
    return Accepted(number, region) if number <= MAX_E164 and region else Reason.NOT_POSSIBLE


def _e164(parsed: PhoneNumber) -> int:
    return int(util.format_number(parsed, util.PhoneNumberFormat.E164)[1:])


def _refusal_of(error: NumberParseException, text: str) -> Reason:
    if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
        return Reason.NOT_POSSIBLE if text.lstrip(" (").startswith(("+", "＋")) else Reason.NO_COUNTRY
    if error.error_type == NumberParseException.NOT_A_NUMBER:
        return Reason.NOT_A_NUMBER
    return Reason.NOT_POSSIBLE


def _digits(text: str) -> str | None:
    """Plain digits, perhaps after `+`, of a text with nothing but certain separators; None for any other."""
    if len(text) > LONGEST_TEXT:
        return None
    if is_capped(text) or (not _plain(text[1:]) and (has_last_digits(text) or has_more_than_number(text))):
        return None
    if "." in text and _DOTTED.fullmatch(text):
        text = text.replace(".", "")
    digits = text.translate(_PUNCTUATION)
    return digits if _plain(digits[1:] if digits[:1] == "+" else digits) else None


def _quick(digits: str, country: str) -> Accepted | None:
    return _accepted(_international(digits[1:]) if digits[:1] == "+" else _national(digits, country))


def _accepted(split: tuple[str, str] | None) -> Accepted | None:
    if split is None or split[1][0] == "0":
        return None
    code, national = split
    if len(code) + len(national) > LONGEST_E164:
        return None
    region = _region_with_handsets(code, national)
    if not region:
        return None
    number = canonical(int(code + national))
    # The kept spelling may belong to another country: its own plan has the last word.
    return Accepted(number, region) if str(number).startswith(code) else _accepted(_international(str(number)))


def _is_surely_none(code: str, national: str) -> bool:
    """Whether no region of the calling code has numbers like this, and no other spelling is known."""
    if len(spellings(int(code + national))) > 1:
        return False
    plans = [_plan(region) for region in _regions(code)]
    return all(plan is not None and not plan.general.fullmatch(national) for plan in plans)


def calling_code(country: str) -> str:
    """The calling code of an ISO country, "?" of none."""
    plan = _plan(country)
    return plan.code if plan is not None else "?"


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
