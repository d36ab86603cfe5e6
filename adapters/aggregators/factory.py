"""Which classes belong to a kind of aggregator; the only place that makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.aggregators.batch_callbacks import BatchCallbacks
from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import AggregatorSettings, HttpBatchSettings
from adapters.ports import AggregatorPort, CallbackPort


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's adapter, made with the account's name and settings, and its callbacks, made with the settings."""

    adapter: Callable[[str, Any], AggregatorPort]
    callbacks: Callable[[Any], CallbackPort]


KINDS: Final[dict[type[AggregatorSettings], Kind]] = {
    HttpBatchSettings: Kind(HttpBatch, BatchCallbacks),
}


def make_adapter(name: str, settings: AggregatorSettings) -> AggregatorPort:
    """The adapter of the account `aggregators.NAME`; made and used in one event loop."""
    return KINDS[type(settings)].adapter(name, settings)


def make_callbacks(accounts: Mapping[str, AggregatorSettings]) -> dict[str, CallbackPort]:
    """How each account calls back, by name."""
    return {name: KINDS[type(settings)].callbacks(settings) for name, settings in accounts.items()}
