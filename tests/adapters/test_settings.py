"""Published secrets hold on one machine only; the local endpoint's passwords are found by themselves."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.private_files import ensure_password, private_folder
from adapters.settings import CONFIG_VARIABLE, Settings, SettingsError, Tracing, load

REAL = {"local": {"url": "https://sms.example/v1/messages", "secret": "s" * 32}}
KEY = "k" * 32


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, ()),
        ({"aggregators": REAL, "token_key": KEY}, ()),
        ({"ingress": {"port": 1, "public_url": "https://s.example"}, "aggregators": REAL, "token_key": KEY}, ()),
        ({"aggregators": REAL}, ("token_key",)),
        (
            {"aggregators": {"local": {"url": REAL["local"]["url"]}}, "token_key": KEY},
            ("aggregators.local.secret",),
        ),
        ({"aggregators": {"local": {**REAL["local"], "secret": "short"}}, "token_key": KEY}, ("aggregators.local",)),
        ({"aggregators": REAL, "token_key": "choose-a-long-random-key"}, ("token_key",)),
        ({"ingress": {"port": 1, "host": "0.0.0.0"}}, ("token_key", "aggregators.local.secret")),
        ({"ingress": {"port": 1, "public_url": "https://s.example"}}, ("token_key", "aggregators.local.secret")),
    ],
)
def test_published_secrets_do_not_hold_outside(given: dict[str, Any], named: tuple[str, ...]) -> None:
    if not named:
        Settings(**given)
        return
    with pytest.raises(ValidationError) as caught:
        Settings(**given)
    for name in (*named, "openssl rand -hex 32", "LONGWAVE_"):
        assert name in str(caught.value)


def test_the_local_endpoint_s_passwords_are_read_when_they_are_needed(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    assert settings.clickhouse.credentials() == ("default", "")
    written = ensure_password(tmp_path / "clickhouse" / "password")
    reading = ensure_password(tmp_path / "clickhouse" / "reader-password")
    assert written != reading
    assert settings.clickhouse.credentials() == ("default", written)
    assert settings.clickhouse.reading().credentials() == ("reader", reading)
    assert ensure_password(tmp_path / "clickhouse" / "password") == written
    assert stat.S_IMODE((tmp_path / "clickhouse" / "password").stat().st_mode) == 0o600


def test_a_server_s_own_users_are_used_as_they_are_set() -> None:
    far = {"host": "ch.example", "user": "writer", "password": "p", "reader": "r", "reader_password": "q"}
    store = Settings(clickhouse=far).clickhouse
    assert store.credentials() == ("writer", "p")
    assert store.reading().credentials() == ("r", "q")


def test_a_data_folder_is_closed_and_a_shared_one_left_alone(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    private_folder(tmp_path / "old")
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    private_folder(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@pytest.mark.parametrize("where", ["file", "variable"])
def test_settings_nested_too_deep_are_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    file = tmp_path / "longwave.toml"
    file.write_text(f"aggregators = {deep}" if where == "file" else "")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    if where == "variable":
        monkeypatch.setenv("LONGWAVE_AGGREGATORS", deep)
    with pytest.raises(SettingsError, match="nested too deep"):
        load()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.example/", "https://collector.example/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_tracing_is_on_with_a_collector_and_a_rate(endpoint: str, url: str) -> None:
    assert not Settings().tracing.is_on
    tracing = Tracing(endpoint=endpoint)
    assert (tracing.is_on, tracing.url) == (True, url)
    assert not Tracing(endpoint=endpoint, sample_rate=0).is_on


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ENDPOINT", "collector:4318", "tracing.endpoint"),
        ("ENDPOINT", "http://", "no address of an OTLP/HTTP collector"),
        ("ENDPOINT", "http://collector:many", "no address of an OTLP/HTTP collector"),
        ("ENDPOINT", "https://me:secret@collector.example", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("ENDPOINT", "https://collector.example/v1/traces?key=1", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("SAMPLE_RATE", "1.01", "tracing.sample_rate"),
        ("SAMPLE_RATE", "-1", "tracing.sample_rate"),
        ("SAMPLE_RATE", "nan", "tracing.sample_rate"),
    ],
)
def test_wrong_settings_of_tracing_are_refused_in_words(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"LONGWAVE_TRACING__{variable}", value)
    with pytest.raises(SettingsError, match=said) as caught:
        load()
    assert "secret" not in str(caught.value)
