"""The quick reading of numbers against phonenumbers itself, and the area codes against its geocoding data."""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.numbers import numbering
from pipeline.numbers.area_codes import CA_NAMES, STATE_OF_CODE, US_NAMES
from pipeline.numbers.numbering import Accepted, read, read_slowly
from schemas.reasons import of_kind

COMMON = ("US", "CA", "FR", "GB", "IN", "DE", "BR", "MX", "IT", "AR", "RU", "AU", "KZ", "GG", "DO")
PREFIXES = ("0", "1", "8", "9", "90", "15", "00", "011", "810", "119")
KINDS = (0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9)
FORMATS = (0, 0, 1, 2, 2)


def written(rng: random.Random, examples: dict[tuple[str, int], str]) -> tuple[str, str]:
    """A number written somehow, from right to broken, and the country assumed for it."""
    region = rng.choice(COMMON) if rng.random() < 0.6 else rng.choice(sorted(phonenumbers.SUPPORTED_REGIONS))
    key = (region, rng.choice(KINDS) * 10 + rng.choice(FORMATS))
    if key not in examples:
        kind, style = divmod(key[1], 10)
        example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
        assert example is not None
        examples[key] = phonenumbers.format_number(example, style)
    text = list(examples[key])
    if rng.random() < 0.25:
        # Prefixes where they may or may not belong: what is a prefix at home is a number abroad.
        code = str(phonenumbers.country_code_for_region(region))
        digits = phonenumbers.normalize_digits_only(examples[key]).removeprefix(code)
        text = list(rng.choice((*PREFIXES, code, "+" + code, "+" + code)) + rng.choice(("", *PREFIXES)) + digits)
    for _ in range(rng.choice((0, 1, 2, 4, 8))):
        at = rng.randrange(len(text))
        if text[at].isdigit():
            text[at] = rng.choice("0123456789")
    if rng.random() < 0.05:
        text.insert(rng.randrange(len(text) + 1), rng.choice("0159 -(.)+x/"))
    if rng.random() < 0.05:
        del text[rng.randrange(len(text))]
    if rng.random() < 0.1:
        text = [c for c in text if c != "+"]
    country = region if rng.random() < 0.6 else rng.choice(("", "US", "FR", "GB", "BR", "RU"))
    return "".join(text).strip(), country


def test_quick_reading_never_differs_from_phonenumbers() -> None:
    examples: dict[tuple[str, int], str] = {}
    rng = random.Random(20261101)
    quick = accepted = 0
    for _ in range(50_000):
        text, country = written(rng, examples)
        digits = numbering._digits(text)
        if digits is None:
            continue
        truth, answer = read_slowly(digits, country), numbering._quick(digits, country)
        assert answer is None or answer == truth, (text, country)
        quick += answer is not None
        accepted += isinstance(truth, Accepted)
    assert quick > 8_000, "the quick way must be the usual one, else this test compares nothing"
    assert quick < accepted < 45_000, "both kinds must occur: taken and left to phonenumbers"


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("0117261123456489", "GA"),  # a prefix that is rewritten, not stripped
        ("+15067344378", "MP"),  # regions of one calling code, told apart by leading digits or by full patterns
        ("8765230123", "JM"),
        ("6846221234", "AS"),
    ],
)
def test_traps_for_the_quick_way(text: str, country: str) -> None:
    assert read(text, country) == read_slowly(text, country)


@pytest.mark.parametrize("region", ["US", "CA", "FR", "GB", "IN"])
@pytest.mark.parametrize("style", [0, 1, 2])
def test_usual_numbers_take_the_quick_way(region: str, style: int) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    assert number is not None
    digits = numbering._digits(phonenumbers.format_number(number, style))
    assert digits is not None
    answer = numbering._quick(digits, region)
    assert answer == Accepted(int(phonenumbers.format_number(number, 0)[1:]), region)


@pytest.mark.parametrize(
    ("text", "country", "outcome"),
    [
        ("+1 (212) 736-5000", "", Accepted(12127365000, "US")),
        ("12127365000", "US", Accepted(12127365000, "US")),
        ("011 33 6 12 34 56 78", "US", Accepted(33612345678, "FR")),
        ("06.12.34.56.78", "FR", Accepted(33612345678, "FR")),
        ("+33 (0)6 12 34 56 78", "", Accepted(33612345678, "FR")),
        ("+39 02 1234 5678", "", Accepted(390212345678, "IT")),
        ("tel: +44 7400 123456", "", Accepted(447400123456, "GB")),
        ("+1 809 234 5678", "", Accepted(18092345678, "DO")),
        ("+1 416 223 4567", "US", Accepted(14162234567, "CA")),
        ("2127365000.0", "US", Accepted(12127365000, "US")),
        ("", "US", "missing_number"),
        ("  ", "", "missing_number"),
        ("ask her", "US", "not_a_number"),
        ("2.12737E+09", "US", "digits_lost"),
        ("(212) 736-5000", "", "no_country"),
        ("(212) 736-5000", "XX", "no_country"),
        ("736-5000", "US", "not_possible"),
        ("+1 212 736 50001", "", "not_possible"),
        ("+999 12 34 56 78", "", "not_possible"),
        ("+1 212 155 0123", "", "not_valid"),
        ("+1 212 736 5000 x12", "", "extension"),
        ("+1 900 234 5678", "", "premium_rate"),
        ("+33 899 70 12 34", "", "premium_rate"),
        ("+4928001234567890", "", "not_possible"),
    ],
)
def test_reading(text: str, country: str, outcome: object) -> None:
    assert read(text, country) == outcome


@given(st.text(max_size=60), st.sampled_from(["", "US", "FR", "XX", "001"]))
def test_any_text_has_an_outcome(text: str, country: str) -> None:
    outcome = read(text, country)
    assert isinstance(outcome, Accepted) or outcome in of_kind("number")
    assert not isinstance(outcome, Accepted) or 0 < outcome.number <= numbering.MAX_E164


def _geocoding_of_north_america() -> dict[str, dict[str, str]]:
    """Prefixes that begin with 1, from the data files that hold them: the package loads all, 4 s and 150 MB."""
    actual: dict[str, dict[str, str]] = {}
    for index in itertools.count():
        source = Path(phonenumbers.__file__).with_name("geodata") / f"data{index}.py"
        spec = importlib.util.spec_from_file_location(f"phonenumbers.geodata.data{index}", source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        here = {prefix: names for prefix, names in module.data.items() if prefix[0] == "1"}
        if not here:
            return actual
        actual |= here
    return actual


def test_area_codes_agree_with_the_geocoding_data() -> None:
    compared = 0
    for prefix, names in _geocoding_of_north_america().items():
        state = STATE_OF_CODE.get(int(prefix[1:4])) if len(prefix) == 4 else None
        if state is None:
            continue
        reported = (
            names["en"].replace("British Colombia", "British Columbia").replace("Washington State", "Washington")
        )
        full = {**US_NAMES, **CA_NAMES}[state]
        assert reported == full or reported.endswith(f", {state}") or (reported, state) == ("Washington D.C.", "DC")
        compared += 1
    assert compared > 380
    assert len(STATE_OF_CODE) - compared == len(("203", "310", "713", "718", "905")), "told by longer prefixes only"


def test_every_area_code_has_its_state_but_those_of_several_provinces() -> None:
    unplaced = set()
    for code in range(200, 1000):
        number = phonenumbers.PhoneNumber(country_code=1, national_number=code * 10**7 + 2345678)
        geographic = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE
        country = phonenumbers.region_code_for_number(number)
        state = STATE_OF_CODE.get(code)
        if geographic and country in ("US", "CA") and state is None:
            unplaced.add(code)
        if state is not None:
            assert country == ("US" if state in US_NAMES else "CA")
    assert unplaced == {782, 867, 902}
    assert set(STATE_OF_CODE.values()) >= set(US_NAMES)
