"""Sample contacts and campaigns: believable, exact in their shares, the same for the same seed."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from adapters.contacts.files import open_contacts
from cli.main import run
from loadtest.sample.campaigns import texts
from loadtest.sample.contacts import _BAD_PHONES, Recipe, generate, write
from loadtest.sample.places import COUNTRY_WEIGHTS, PLACES
from pipeline.audience.columns import columns_of
from pipeline.audience.contact_lines import derived_region, normalize
from pipeline.content.render import compile_template
from pipeline.content.segments import count
from pipeline.numbers.numbering import Accepted, read
from schemas.campaign import CampaignSpec
from schemas.ids import _known_zone

RECIPE = Recipe(count=20_000, seed=7, invalid=0.015, duplicates=0.02, opted_out=0.03)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "contacts.csv"
    write(RECIPE, path)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    file = open_contacts(path)
    return [dict(zip(file.header, row, strict=True)) for batch in file.batches() for row in batch.rows]


def test_shares_are_exact_and_every_other_line_is_good(sample: Path) -> None:
    file = open_contacts(sample)
    (batch,) = file.batches()
    out = normalize(batch.rows, columns_of(file.header), "", "national")
    assert len(batch.rows) == 20_000
    assert len(out.rejects) == 300
    assert len(out.numbers) - len(set(out.numbers)) == 400
    assert len({reason for _, reason in out.rejects}) >= 5
    assert 450 < sum(row["opted_out"] == "true" for row in rows(sample)) < 750


def test_region_country_and_zone_are_those_of_the_number(sample: Path) -> None:
    cities = {(p.country, p.city, p.region): p.zone for p in PLACES}
    lines = rows(sample)
    for line in lines:
        zone = cities[line["country"], line["city"], line["region"]]
        assert line["zone"] in ("", zone)
        number = read(line["phone"], line["country"])
        assert not isinstance(number, Accepted) or number.country == line["country"]
    bare = [[line["phone"], line["country"]] for line in lines]
    without = normalize(bare, columns_of(["phone", "country"]), "", "national")
    places = zip(without.countries, without.numbers, strict=True)
    reported = [(country, derived_region(country, number)) for country, number in places if country in ("US", "CA")]
    given = [(lines[i]["country"], lines[i]["region"]) for i in without.rows if lines[i]["country"] in ("US", "CA")]
    assert reported == given
    assert all(_known_zone(place.zone) for place in PLACES)


def test_every_prefix_of_every_place_is_valid() -> None:
    from loadtest.sample.places import CALLING_CODES, NATIONAL_LENGTHS

    for place in PLACES:
        for prefix in place.prefixes:
            for tail in ("2000000000", "9876543210", "3141592653"):
                national = (prefix + tail)[: NATIONAL_LENGTHS[place.country]]
                number = read(f"+{CALLING_CODES[place.country]}{national}", "")
                assert isinstance(number, Accepted), (place.city, national)
                assert number.country == place.country


@pytest.mark.parametrize("phone", _BAD_PHONES)
@pytest.mark.parametrize("country", COUNTRY_WEIGHTS)
def test_every_bad_phone_is_rejected_everywhere(phone: str, country: str) -> None:
    assert isinstance(read(phone, country), str)


def test_countries_come_by_their_weight(sample: Path) -> None:
    actual = Counter(line["country"] for line in rows(sample))
    for country, weight in COUNTRY_WEIGHTS.items():
        assert abs(actual[country] / 20_000 - weight / 100) < 0.015


def test_the_seed_decides_everything(tmp_path: Path, sample: Path) -> None:
    write(RECIPE, tmp_path / "again.csv")
    write(Recipe(20_000, 8, 0.015, 0.02, 0.03), tmp_path / "other.csv")
    assert (tmp_path / "again.csv").read_bytes() == sample.read_bytes()
    assert (tmp_path / "other.csv").read_bytes() != sample.read_bytes()


def test_parquet_holds_the_same_lines(tmp_path: Path, sample: Path) -> None:
    write(RECIPE, tmp_path / "contacts.parquet")
    assert rows(tmp_path / "contacts.parquet") == rows(sample)


def test_no_number_repeats_but_those_asked_for() -> None:
    (table,) = generate(Recipe(count=50_000, seed=3, invalid=0, duplicates=0))
    lines = table.select(["phone", "country"]).to_pylist()
    assert len({read(line["phone"], line["country"], "national") for line in lines}) == 50_000


@pytest.mark.parametrize("name", texts())
def test_sample_campaigns_are_valid_and_fit_the_sample_contacts(name: str, sample: Path) -> None:
    spec = CampaignSpec.model_validate(tomllib.loads(texts()[name]))
    for message in spec.messages:
        template = compile_template(message.text)
        assert set(template.fields) <= set(open_contacts(sample).header)
        assert template.fields_without_default == ()
        assert set(template.links) == set(message.links)


def test_the_french_campaign_really_is_ucs2() -> None:
    (message,) = CampaignSpec.model_validate(tomllib.loads(texts()["french.toml"])).messages
    assert count(message.text).encoding == "ucs2"


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "people.parquet"
    assert run(["sample", "contacts", "--count", "100", "--seed", "2", "--out", str(out)]) == 0
    assert open_contacts(out).total == 100
    assert run(["sample", "campaigns", "--out", str(tmp_path / "campaigns")]) == 0
    assert {path.name for path in (tmp_path / "campaigns").iterdir()} == set(texts())
    capsys.readouterr()
    assert run(["sample", "contacts", "--out", str(tmp_path / "people.xlsx")]) == 2
    assert "must end in .csv or .parquet" in capsys.readouterr().err
    assert run(["sample", "contacts", "--invalid", "0.5", "--duplicates", "0.4", "--out", str(out)]) == 2
    (tmp_path / "file").write_text("")
    assert run(["sample", "contacts", "--out", str(tmp_path / "file" / "x.csv")]) == 1
    assert run(["sample", "campaigns", "--out", str(tmp_path / "file")]) == 1
    assert "Traceback" not in capsys.readouterr().err
