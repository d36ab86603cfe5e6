"""The commands of accounts: how settings are written, how a change is shown, and what files are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.settings import Settings
from adapters.terminal import UserError, WrongUse
from cli.accounts.book import book_of_file
from cli.accounts.changing import assigned, of_name
from cli.accounts.wording import changed_lines, domain_line, pool_line, price_lines, spec_lines
from cli.main import run
from pipeline.accounts.diff import form_of
from pipeline.accounts.prices import built_in_spec
from schemas.accounts import AccountSpec

CAMPAIGN = Path(__file__).parents[2] / "loadtest" / "sample" / "campaigns" / "loyalty.toml"


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("max_segments=3", "max_segments", 3),
        ("segments_per_second=2.5", "segments_per_second", 2.5),
        ("active=false", "active", False),
        ("site_name=Harbor & Pine", "site_name", "Harbor & Pine"),
        ("site_name=a=b", "site_name", "a=b"),
        ('number="36180"', "number", "36180"),
        ("number=+18885550100", "number", "+18885550100"),
        ("lanes=[0, 1]", "lanes", [0, 1]),
        ("caps.day=2", "caps", {"day": 2}),
        ("caps.day=", "caps", {}),
    ],
)
def test_a_setting_is_read_as_toml_or_as_it_stands(setting: str, name: str, value: Any) -> None:
    assert assigned({}, [setting])[name] == value


def test_settings_leave_what_they_do_not_name() -> None:
    before = {"caps": {"day": 1, "week": 5}, "site_name": "Shop"}
    assert assigned(before, ["caps.day=2", "site_name="]) == {"caps": {"day": 2, "week": 5}}
    assert before["caps"] == {"day": 1, "week": 5}


@pytest.mark.parametrize("setting", ["day", "=1", "caps..day=1", ".x=1", "site_name.x=1"])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(WrongUse):
        assigned({"site_name": "Shop"}, [setting])


@pytest.mark.parametrize("name", ["demo", "demo/", "/main", ""])
def test_a_sender_is_named_with_its_account(name: str) -> None:
    with pytest.raises(UserError, match="ACCOUNT/SENDER"):
        of_name(name)


def test_a_change_is_shown_with_what_was_there_before() -> None:
    answer = {
        "changes": [
            {"key": "shop", "what": "added", "fields": {}},
            {"key": "demo", "what": "changed", "fields": {
                "caps": [{"day": 1, "week": None}, {"day": 2, "week": None}], "low_balance": [None, "5"]
            }},
            {"key": "demo/main", "what": "same", "fields": {}},
        ],
        "refused": [{"key": "shop", "error": "no such brand"}],
    }  # fmt: skip
    assert list(changed_lines(answer)) == [
        "+ shop", "~ demo", "    caps.day: 1 → 2", "    low_balance: not set → 5", "! shop: no such brand",
        "1 more are as the file says",
    ]  # fmt: skip


def test_specs_and_prices_are_shown_line_by_line() -> None:
    lines = list(spec_lines(form_of(AccountSpec())))
    assert "  active = True" in lines
    assert "    day = not set" in lines
    shown = {"name": "default", "built_in": True, "prices": form_of(built_in_spec())["prices"]}
    assert next(iter(price_lines(shown))) == "default  (built in)"
    assert any("FR" in line and "0.0798" in line for line in price_lines(shown))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[accounts", "is no TOML"),
        ("[accounts.demo]\ncolor = 1", "accounts.demo.color"),
        ('[accounts.demo.senders.main]\nnumber = "36180"\naggregator = "no"', "no aggregator 'no'"),
    ],
)
def test_a_file_of_accounts_that_does_not_hold_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        book_of_file(file, Settings())
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_a_forecast_goes_by_the_accounts_that_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text('[accounts.other.senders.main]\nnumber = "36180"')
    words = ["forecast", str(CAMPAIGN), "--recipients", "100"]
    assert run(words) in (0, 1)
    assert run([*words, "--accounts", str(file)]) == 1
    assert "there is no account 'demo'; there is other" in capsys.readouterr().err


def test_a_domain_and_what_is_left_of_its_kind_are_a_line_each() -> None:
    domain = {"domain": "go.example", "spec": {"kind": "short", "active": True, "messages": 1000}, "used": 950}
    assert domain_line(domain).split() == ["go.example", "short", "active", "950", "of", "1,000"]
    endless = {**domain, "spec": {"kind": "opt-out", "active": False, "messages": None}}
    assert domain_line(endless).split() == ["go.example", "opt-out", "inactive", "950", "no", "limit"]
    assert pool_line({"kind": "short", "left": 50, "nearly_used": True}).startswith(
        "short links: 50 more messages  NEARLY"
    )
    assert (
        pool_line({"kind": "short", "left": None, "nearly_used": False}) == "short links: any number of more messages"
    )
