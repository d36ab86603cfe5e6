"""`longwave doctor` about who may reach what, and about aggregators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.doors.settings import Api, Ingress
from adapters.settings import Settings
from cli.main import run
from cli.stack import doctor, doors
from cli.stack.findings import Finding
from tests.adapters.doors.test_tls import written
from tests.adapters.peer import always, answer, serving
from tests.stack import free_ports

OWN_KEY = "a-token-key-of-the-test"


def found(settings: Settings, what: str) -> Finding:
    finding = {one.what: one for one in doors.examine(settings)}[what]
    assert bool(finding.fix) != finding.ok
    return finding


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "public_url": "https://longwave.example"}, False),
        ({"host": "0.0.0.0", "public_url": "https://longwave.example", "proxies": ("10.0.0.7",)}, True),
        ({"host": "0.0.0.0", "proxies": ("10.0.0.7",)}, False),
        ({"host": "0.0.0.0", "certificate": "c.pem", "private_key": "k.pem"}, True),
        ({"public_url": "http://longwave.example"}, False),
        ({"public_url": "https://longwave.example"}, True),
        ({"public_url": "http://localhost:18080"}, True),
    ],
)
@pytest.mark.parametrize("name", ["api", "ingress"])
def test_keys_and_tokens_travel_beyond_this_machine_over_https_only(
    name: str, given: dict[str, Any], is_right: bool
) -> None:
    made: Any = {"api": Api(port=18080, **given)} if name == "api" else {"ingress": Ingress(port=18081, **given)}
    settings = Settings(token_key=OWN_KEY, **made) if name == "api" else _unguarded(made["ingress"])
    assert found(settings, f"{name} address").ok is is_right


def _unguarded(ingress: Ingress) -> Settings:
    """Settings with the secrets that such an ingress needs."""
    return Settings(ingress=ingress, token_key=OWN_KEY, aggregators={"local": {"secret": "a-secret-of-the-test"}})


@pytest.mark.parametrize(("days", "is_right"), [(30, True), (13, False), (1, False)])
def test_a_certificate_is_renewed_two_weeks_before_its_end(tmp_path: Path, days: int, is_right: bool) -> None:
    pair = written(tmp_path, days=days)
    api = Api(port=18080, certificate=pair.certificate, private_key=pair.private_key)
    finding = found(Settings(api=api), "api certificate")
    assert (finding.ok, finding.detail.startswith("ends in ")) == (is_right, True)


def test_a_certificate_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    pair = written(tmp_path)
    pair.private_key.unlink()
    ingress = Ingress(port=18081, certificate=pair.certificate, private_key=pair.private_key)
    assert "cannot read" in found(Settings(ingress=ingress), "ingress certificate").detail


def test_a_published_secret_is_none_where_the_api_is_reached_from_outside() -> None:
    outside = Api(port=18080, public_url="https://longwave.example")
    assert found(Settings(), "secrets").ok
    assert not found(Settings(api=outside), "secrets").ok
    assert not found(Settings(api=outside, token_key="short"), "secrets").ok
    assert found(Settings(api=outside, token_key=OWN_KEY), "secrets").ok


@pytest.mark.parametrize(("raw", "says"), [(answer(200, b'{"results": []}'), ""), (answer(503), "http:503")])
async def test_an_aggregator_is_asked_whether_it_would_take_a_message(raw: bytes, says: str) -> None:
    (nobody,) = free_ports(1)
    async with serving(always(raw)) as peer:
        accounts: Any = {
            "there": {"kind": "http-batch", "url": f"http://127.0.0.1:{peer.port}/v1/messages"},
            "away": {"kind": "http-batch", "url": f"http://127.0.0.1:{nobody}/v1/messages"},
        }
        settings = Settings(aggregators=accounts)
        findings = await asyncio.to_thread(lambda: list(doctor._aggregators(settings)))
    by_name = {finding.what: finding for finding in findings}
    assert by_name["aggregator there"].ok is (says == "")
    assert says in by_name["aggregator there"].detail
    assert (by_name["aggregator away"].ok, bool(by_name["aggregator away"].fix)) == (False, True)
    assert "would take no message: connect" in by_name["aggregator away"].detail


@pytest.mark.parametrize(
    "variables",
    [
        {"LONGWAVE_INGRESS__PORT": "18081", "LONGWAVE_INGRESS__PUBLIC_URL": "https://go.example"},
        {"LONGWAVE_AGGREGATORS__LOCAL__URL": "https://sms.example/v1/messages"},
    ],
)
def test_doctor_fails_for_published_secrets_outside_of_the_local_stack(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(["doctor"]) == 1
    assert "still the published default" in capsys.readouterr().err
