"""A campaign simulated and the same sent for real: every recipient has the same outcome, and can be explained."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.clickhouse import Store
from api.terms import Installed
from cli.accounts.book import stored_book
from cli.client import Client, api_of
from cli.main import run
from cli.simulate.setup import launches_of
from loadtest.aggregator.script import read_script
from loadtest.bench.campaigns import wait_until
from loadtest.bench.stack import Stack, private_stack
from loadtest.sample.contacts import Recipe, write
from schemas.accounts import MICRO
from schemas.campaign import CampaignSpec
from schemas.ids import bucket_sql
from schemas.succession import SHOWN
from simulation.run import Conditions, Outcome, simulate
from simulation.tally import Tally

SCRIPT = """
rejected_endings = { "7" = "30003", "33" = "30007" }
undelivered_endings = { "1" = "30003" }
[latency]
median = 0.02
[receipts]
delivered = 1.0
[receipts.delay]
median = 0.2
"""
LANES = """
[accounts.demo]
site_name = "Harbor & Pine"
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 1000
lanes = [0, 1]
"""
SHORT = 10
EARLIER = {"name": "Earlier", "audience": {"lists": ["earlier"]}, "messages": [{"text": "Soon: a sale"}]}
SALE: dict[str, Any] = {
    "name": "Sale",
    "audience": {"lists": ["people"], "numbers": ["+33 6 12 34 56 70"]},
    "smart_sending_hours": 24,
    "messages": [
        {"text": "Hi {first_name|there} of {city|your town}: {link}", "links": {"default": "https://shop.example/"}}
    ],
}


def by_number(tally: Tally, numbers: list[int]) -> dict[int, tuple[str, str]]:
    """Each recipient's state and reason at the end; `numbers` in order of ordinals."""
    return {
        number: (SHOWN[state], tally.reasons[reason])
        for number, state, reason in zip(numbers, tally.state.tolist(), tally.reason.tolist(), strict=True)
    }


@dataclass(frozen=True)
class Both:
    """The real run of SALE and its simulation."""

    campaign: str
    earlier: str
    shown: dict[str, Any]
    rows: list[dict[str, str]]
    simulated: Outcome
    numbers: list[int]
    forecast: dict[str, Any]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    script = folder / "script.toml"
    script.write_text(SCRIPT)
    with private_stack(LANES, script=script) as stack:
        _import(stack, folder)
        sale = folder / "sale.json"
        assert run(["forecast", str(_toml(folder)), "--json", str(sale)]) == 0
        specs = [CampaignSpec.model_validate(item) for item in (EARLIER, SALE)]
        first, second = launches_of(Installed(stack.settings, stored_book(stack.settings)), specs, None, seed=1)
        # As for real: the sale is launched when the earlier campaign's refusals have freed their reservations.
        launches = [first, replace(second, delay_ms=60_000)]
        simulated = simulate(
            launches, Conditions(read_script(script), 1, 1_794_934_800_000, stack.settings.kafka.partitions)
        )
        api = api_of(stack.settings)
        earlier, _ = _sent(api, EARLIER)
        campaign, shown = _sent(api, SALE)
        out = folder / "rows.csv"
        api.download(f"/v1/campaigns/{campaign}/export", out, format="csv")
        rows = list(csv.DictReader(out.open()))
        numbers = launches[1].audience.page.numbers
        yield Both(
            campaign, earlier, shown, rows, simulated, [int(n) for n in numbers], orjson.loads(sale.read_bytes())
        )


def _import(stack: Stack, folder: Path) -> None:
    people, earlier = folder / "people.csv", folder / "earlier.csv"
    write(Recipe(2000, seed=5, opted_out=0.05), people)
    lines = people.read_text().splitlines(keepends=True)
    earlier.write_text("".join(lines[:300]))
    for name, file in (("people", people), ("earlier", earlier)):
        assert run(["contacts", "import", str(file), "--list", name]) == 0
    store = Store(stack.settings.clickhouse)
    bucket = bucket_sql("1000 + number")
    store.command(
        f"""INSERT INTO contacts (number, bucket, country, region, zone, attributes, updated)
        SELECT 1000 + number, {bucket}, '', '', '', map(), now64(3) FROM numbers({SHORT})"""
    )
    store.command(
        f"""INSERT INTO list_members (list, bucket, number, added)
        SELECT 'people', {bucket}, 1000 + number, now64(3) FROM numbers({SHORT})"""
    )
    # The writer brings consents to ClickHouse; the import does not wait for it.
    wanted = sum(line.rstrip().endswith("true") for line in lines)
    distinct = "SELECT uniqExact(number) FROM consents"
    wait_until("consents are written", lambda: store.rows(distinct)[0][0] >= 0.9 * wanted, 30)
    wait_until("consents rest", lambda: _rests(store, distinct), 30)
    store.close()


def _rests(store: Store, asked: str) -> bool:
    """Whether a figure is the same two seconds later: the writer has nothing more."""
    before = store.rows(asked)[0][0]
    time.sleep(2)
    return bool(store.rows(asked)[0][0] == before)


def _toml(folder: Path) -> Path:
    file = folder / "sale.toml"
    file.write_text(
        'name = "Sale"\nsmart_sending_hours = 24\n[audience]\nlists = ["people"]\nnumbers = ["+33612345670"]\n'
        '[[messages]]\ntext = "Hi {first_name|there} of {city|your town}: {link}"\n'
        '[messages.links]\ndefault = "https://shop.example/"\n'
    )
    return file


def _sent(api: Client, spec: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Launch, and wait until the receipts are in."""
    campaign: str = api.send("POST", "/v1/campaigns", orjson.dumps(spec))["id"]
    api.send("POST", f"/v1/campaigns/{campaign}/launch", b"")
    path = f"/v1/campaigns/{campaign}"
    wait_until(f"{spec['name']} is finished", lambda: api.get(path)["status"] == "finished", 60, pause=0.3)
    return campaign, api.get(path)


def reported(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_recipient_has_the_same_outcome(both: Both) -> None:
    real = {int(row["number"]): (row["state"], row["reason"]) for row in both.rows}
    simulated = by_number(both.simulated.tallies[1], both.numbers)
    assert len(real) == both.shown["figures"]["targeted"] == len(simulated) > 1900
    assert {number: (real[number], outcome) for number, outcome in simulated.items() if real[number] != outcome} == {}
    seen = Counter(real.values())
    for outcome in [
        ("delivered", ""),
        ("undelivered", "absent_subscriber"),
        ("rejected", "absent_subscriber"),
        ("rejected", "filtered"),
        ("skipped", "opted_out"),
        ("skipped", "smart_sending"),
        ("skipped", "invalid_number"),
    ]:
        assert seen[outcome] >= SHORT, outcome


def test_segments_spend_and_residual_are_the_same(both: Both) -> None:
    figures, real = both.simulated.tallies[1].figures(), both.shown["figures"]
    assert (figures.segments, figures.residual, dict(figures.states)) == (real["segments"], 0, real["states"])
    assert figures.spend / MICRO == pytest.approx(real["spend"])
    assert {sample.residual for timeline in both.simulated.timelines for sample in timeline.samples} == {0}


def test_forecast_from_the_contacts(both: Both) -> None:
    skipped = Counter(row["reason"] for row in both.rows if row["reason"] in ("opted_out", "invalid_number"))
    assert both.forecast["skipped"] == dict(skipped), "nobody had been written to when it was made"
    assert both.forecast["recipients"] == both.shown["figures"]["targeted"] - skipped.total()
    assert both.forecast["why"].startswith("main 1000 segments/s: needs")


def test_explain_tells_each_story(both: Both, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    of = {(row["state"], row["reason"]): row["number"] for row in both.rows}
    code, out, _ = reported(["explain", both.campaign, of["delivered", ""]], capsys)
    assert (code, "now        delivered" in out) == (0, True), out
    assert "accepted by the aggregator, " in out
    assert "credits" in out
    code, out, _ = reported(["explain", both.campaign, of["skipped", "smart_sending"]], capsys)
    assert f"blocked by Earlier [{both.earlier}], message 0, planned 20" in out
    code, out, _ = reported(["explain", both.campaign, of["skipped", "opted_out"]], capsys)
    assert "consent: opted out by " in out
    file = tmp_path / "story.json"
    code, _, _ = reported(
        ["explain", both.campaign, of["rejected", "absent_subscriber"], "--json", str(file)], capsys
    )
    story = orjson.loads(file.read_bytes())
    assert (story["state"], story["events"][-1]["reason"]) == ("rejected", "absent_subscriber")
    assert story["zones"]


def test_explain_says_what_it_does_not_know(both: Both, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = reported(["explain", "zzzzzzzz", "+12125550100"], capsys)
    assert (code, "no campaign 'zzzzzzzz'" in error) == (1, True), error
    code, _, error = reported(["explain", both.campaign, "+12125550100"], capsys)
    assert (code, "is not in the audience of" in error) == (1, True), error
