"""Caps in the settings: read from the file, within their bounds, and never counted for two accounts as one."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from adapters.settings import CONFIG_VARIABLE, Settings, SettingsError, load
from schemas.account import account_tag

SENDER = 'number = "+18885550100"\nlanes = [{lane}]\n'


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, accounts: dict[str, str]) -> Settings:
    """Settings of accounts by name, with lines of their own."""
    text = "".join(
        f"[accounts.{name}]\n{lines}\n[accounts.{name}.senders.main]\n{SENDER.format(lane=lane)}"
        for lane, (name, lines) in enumerate(accounts.items())
    )
    file = folder / "longwave.toml"
    file.write_text(text)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    return load()


def namesakes() -> tuple[str, str]:
    """Two names of one tag."""
    seen: dict[int, str] = {}
    for nth in count():
        name = f"shop-{nth}"
        other = seen.setdefault(account_tag(name), name)
        if other != name:
            return other, name
    raise AssertionError


def test_caps_are_read_and_none_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    actual = written(tmp_path, monkeypatch, {"demo": "caps = { day = 2, week = 5 }", "other": ""})
    assert (actual.accounts["demo"].caps.day, actual.accounts["demo"].caps.week) == (2, 5)
    assert (actual.accounts["other"].caps.day, actual.accounts["other"].caps.week) == (None, None)


def test_a_cap_of_nothing_is_refused_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"accounts\.demo\.caps\.day"):
        written(tmp_path, monkeypatch, {"demo": "caps = { day = 0 }"})


def test_accounts_of_one_tag_are_refused_where_caps_would_count_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = namesakes()
    assert written(tmp_path, monkeypatch, {first: "", second: ""}).accounts.keys() == {first, second}
    for capped in (first, second):
        accounts = {name: "caps = { week = 3 }" if name == capped else "" for name in (first, second)}
        with pytest.raises(SettingsError, match=f"accounts.{second} and accounts.{first} cannot be told apart"):
            written(tmp_path, monkeypatch, accounts)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("max_segments = 0", "max_segments"),
        ("max_segments = 11", "max_segments"),
        ('replies = { help = "Hi {first_name}" }', "braces would go out as they stand"),
    ],
)
def test_what_would_reach_phones_broken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        written(tmp_path, monkeypatch, {"shop": lines})
    assert written(tmp_path, monkeypatch, {"shop": "max_segments = 10"}).accounts["shop"].max_segments == 10
