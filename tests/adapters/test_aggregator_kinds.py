"""Kinds of aggregators: each has settings and classes, and wrong settings are refused in words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from adapters.aggregators.factory import KINDS, make_adapter, make_callbacks
from adapters.aggregators.settings import AggregatorSettings, AnyAggregator, HttpBatchSettings
from adapters.settings import Settings, SettingsError, load

EXAMPLE = Path(__file__).parents[2] / "longwave.toml.example"
UNION = get_args(AnyAggregator)[0]


def _example_of(kind: type[AggregatorSettings]) -> dict[str, Any]:
    """The table of a kind in the example of the settings."""
    name = kind.model_fields["kind"].default
    example = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    tables = [table for table in example["aggregators"].values() if table["kind"] == name]
    assert len(tables) == 1, f'longwave.toml.example needs one [aggregators.NAME] with kind = "{name}"'
    return tables[0]


def test_each_kind_of_settings_has_its_classes_and_a_kind_of_its_own() -> None:
    members: set[type[AggregatorSettings]] = set(get_args(UNION) or (UNION,))
    assert members == set(KINDS)
    assert len({member.model_fields["kind"].default for member in members}) == len(members)


async def test_the_factory_makes_what_belongs_to_an_account() -> None:
    settings = Settings().aggregators["local"]
    made = make_adapter("local", settings)
    assert made.capabilities == settings.capabilities
    await made.close()
    assert set(make_callbacks({"local": settings, "other": settings})) == {"local", "other"}


def test_capabilities_follow_from_settings() -> None:
    able = HttpBatchSettings(batch=100, idempotency_keys=False, query_url="http://127.0.0.1:1/q").capabilities
    assert (able.batch, able.refuses_repeats, able.answers_queries) == (100, False, True)
    assert not HttpBatchSettings(query_url="").capabilities.answers_queries


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_remedy_is_a_setting_of_its_kind(kind: type[AggregatorSettings]) -> None:
    made = kind.model_validate(_example_of(kind))
    assert set(made.capabilities.remedies.values()) <= set(kind.model_fields)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_example_shows_every_setting_of_each_kind(kind: type[AggregatorSettings]) -> None:
    example = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    table = _example_of(kind)
    assert set(table) == set(kind.model_fields), f"the example of {table['kind']} shows every setting of the kind"
    assert type(Settings.model_validate(example).aggregators["local"]) in KINDS
    assert kind.model_validate(table).kind == table["kind"]


def test_every_secret_of_an_account_is_known() -> None:
    assert set(HttpBatchSettings().secrets()) == {"secret"}


def test_http_batch_is_the_kind_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGWAVE_AGGREGATORS__LOCAL__BATCH", "7")
    account = load().aggregators["local"]
    assert (account.kind, account.capabilities.batch) == ("http-batch", 7)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('kind = "no-such-kind"', "'http-batch'"),
        ("batch = 501", "aggregators.local.batch: "),
        ("batches = 3", "aggregators.local.batches: "),
    ],
)
def test_wrong_settings_name_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, named: str
) -> None:
    path = tmp_path / "longwave.toml"
    path.write_text(f"[aggregators.local]\n{line}\n")
    monkeypatch.setenv("LONGWAVE_CONFIG", str(path))
    with pytest.raises(SettingsError) as error:
        load()
    assert named in str(error.value)
