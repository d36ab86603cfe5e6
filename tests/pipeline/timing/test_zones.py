"""Which zones a recipient may be in, held against phonenumbers itself."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberType
from phonenumbers import phonenumberutil as util
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from pipeline.timing.zones import (
    candidate_ids,
    candidate_zones,
    id_of,
    zone_ids,
    zone_sets,
    zones_of,
)
from schemas.reasons import Reason

NORTH_AMERICA = tuple(TIMEZONE_DATA["1"])
OVERLAYS = {"1364": "1270", "1448": "1850", "1458": "1541", "1879": "1709", "1930": "1812"}
"""Area codes that phonenumbers has with fewer zones than the older one that they share their places with."""


def digits(number: PhoneNumber) -> int:
    return int(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:])


def examples() -> Iterator[PhoneNumber]:
    """An example of every kind of number of every region of phonenumbers."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in PhoneNumberType.values():
            if (number := phonenumbers.example_number_for_type(region, kind)) is not None:
                yield number
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        if (number := phonenumbers.example_number_for_non_geo_entity(code)) is not None:
            yield number


def numbers() -> Iterator[PhoneNumber]:
    """Valid numbers: the examples and their neighbours, and such that begin with each prefix of the zone data."""
    luck = random.Random(5)
    lengths: dict[int, int] = {}
    for example in examples():
        text = str(digits(example))
        lengths.setdefault(example.country_code, len(text))
        yield example
        for tail in [1, 2, 3, 4, 5] * 3:
            yield from valid(text[:-tail] + "".join(luck.choices("0123456789", k=tail)))
    for prefix in TIMEZONE_DATA:
        code = next(code for code in lengths if prefix.startswith(str(code)))
        for _ in range(4):
            yield from valid(prefix + "".join(luck.choices("0123456789", k=lengths[code] - len(prefix))))


def valid(text: str) -> Iterator[PhoneNumber]:
    try:
        number = phonenumbers.parse(f"+{text}")
    except phonenumbers.NumberParseException:
        return
    if util.number_type(number) != PhoneNumberType.UNKNOWN:
        yield number


def longest(text: str) -> tuple[str, ...]:
    return next((TIMEZONE_DATA[text[:n]] for n in range(len(text), 0, -1) if text[:n] in TIMEZONE_DATA), ())


def test_candidates_are_those_of_phonenumbers() -> None:
    actual = {digits(number): number for number in numbers()}
    ids = candidate_ids(np.array(list(actual), np.uint64)).tolist()
    countries, kinds, narrower, wider = set(), set(), 0, 0
    for (text, number), index in zip(actual.items(), ids, strict=True):
        theirs = tuple(zone for zone in time_zones_for_number(number) if zone != UNKNOWN_TIMEZONE)
        if str(text)[:4] in OVERLAYS:
            assert set(theirs) < set(zone_sets()[index]) or text < 10**10, text
            wider += 1
            continue
        if number.country_code == 1 and zone_sets()[index] != theirs:
            assert theirs == NORTH_AMERICA, text
            assert zone_sets()[index] == longest(str(text)), text
            assert phonenumbers.region_code_for_number(number) not in ("US", "CA") or text < 10**10, text
            narrower += 1
            continue
        assert zone_sets()[index] == theirs, text
        countries.add(phonenumbers.region_code_for_number(number))
        kinds.add(util.number_type(number))
    print(
        f"{len(actual)} numbers of {len(countries)} countries: {len(actual) - narrower - wider} as phonenumbers, "
        f"{narrower} narrower and {wider} wider, all in +1"
    )
    assert len(actual) - narrower - wider >= 20_000
    assert len(countries) >= 230
    assert {
        PhoneNumberType.MOBILE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.UAN,
    } < kinds


@pytest.mark.parametrize(
    ("number", "count"),
    [(12085550100, 2), (16055550100, 2), (17015550100, 2), (17095550100, 2), (18005550100, 42), (18335550100, 42),
     (61412345678, 8), (79161234567, 16), (33612345678, 1), (12125550100, 1), (80012345678, 0), (5, 0), (10**15, 0)],
)  # fmt: skip
def test_how_many_zones_a_number_may_be_in(number: int, count: int) -> None:
    assert len(candidate_zones(number)) == count


@pytest.mark.parametrize(("overlay", "older"), OVERLAYS.items())
def test_an_overlay_has_every_zone_of_the_area_code_that_it_overlays(overlay: str, older: str) -> None:
    places = {zone for prefix, zones in TIMEZONE_DATA.items() if prefix.startswith(older) for zone in zones}
    assert len(places) > 1
    assert not places <= set(TIMEZONE_DATA[overlay])
    assert places <= set(candidate_zones(int(f"{overlay}5550100")))


def test_a_number_shorter_than_a_prefix_is_not_filled_up_into_it() -> None:
    filled = [prefix for prefix in TIMEZONE_DATA if prefix[0] == "1" and prefix.endswith("0")]
    wrong = [prefix for prefix in filled if TIMEZONE_DATA[prefix] != longest(prefix.rstrip("0"))]
    assert len(wrong) > 10
    for prefix in wrong:
        assert candidate_zones(int(prefix.rstrip("0"))) == longest(prefix.rstrip("0"))


def test_the_contacts_own_zone_wins_then_the_number_then_the_store() -> None:
    idaho, nowhere = 12085550100, 80012345678
    assert zones_of("Asia/Tokyo", idaho, "Europe/Paris", "store") == ("Asia/Tokyo",)
    assert zones_of("", idaho, "Europe/Paris", "store") == ("America/Boise", "America/Los_Angeles")
    assert zones_of("", nowhere, "Europe/Paris", "store") == ("Europe/Paris",)
    assert zones_of("", nowhere, "Europe/Paris", "skip") == Reason.UNKNOWN_ZONE
    assert zones_of("Asia/Tokyo", nowhere, "Europe/Paris", "skip") == ("Asia/Tokyo",)
    assert zones_of("Mars/Olympus", idaho, "Europe/Paris", "skip") == candidate_zones(idaho)


def test_a_chunk_is_decided_as_each_of_its_recipients() -> None:
    luck = random.Random(2)
    many = [digits(number) for number in luck.sample(list(examples()), 400)]
    zones = ["", "Europe/Paris", "Mars/Olympus", "America/Denver"]
    zone = luck.choices(range(4), k=len(many))
    for policy in ("store", "skip"):
        ids = zone_ids(np.array(many, np.uint64), zones, zone, "Asia/Tokyo", policy)  # type: ignore[arg-type]
        for number, own, index in zip(many, zone, ids.tolist(), strict=True):
            each = zones_of(zones[own], number, "Asia/Tokyo", policy)  # type: ignore[arg-type]
            assert (zone_sets()[index] or Reason.UNKNOWN_ZONE) == each
    assert len(zone_ids(np.array([], np.uint64), zones, [], "Asia/Tokyo", "skip")) == 0


def test_a_set_of_zones_without_an_index_is_refused() -> None:
    with pytest.raises(ValueError, match="neither an IANA time zone nor the candidates"):
        id_of(("Europe/Paris", "Asia/Tokyo"))
