"""Failures at the IO boundary.

LongwaveError
├── EmitError            a record was not acknowledged by Kafka in time
│   ├── EmitRefused          Kafka will not take it, however often it is written
│   └── EmitBroken           this process writes nothing anymore: it has to end
├── StoreError           ClickHouse did not do what was asked
│   ├── StoreUnavailable     it cannot be reached or is overloaded: try again
│   └── StoreRefused         it will never accept this statement or these rows
│       └── StoreMisfit          it is set up otherwise: a table, column or right is missing, whatever the rows
"""

from __future__ import annotations


class LongwaveError(Exception):
    """Base of all failures that adapters raise."""


class EmitError(LongwaveError):
    """A record was not acknowledged by Kafka within the delivery time-out."""


class EmitRefused(EmitError):
    """Kafka will not take a record until somebody changes something. `oversized`: this record, for its size; else
    any record of its topic."""

    def __init__(self, text: str, *, oversized: bool) -> None:
        super().__init__(text)
        self.oversized = oversized


class EmitBroken(EmitError):
    """The process's producer met a fatal error: whatever it writes fails until the process is started again."""


class StoreError(LongwaveError):
    """ClickHouse did not do what was asked."""


class StoreUnavailable(StoreError):
    """ClickHouse cannot be reached or is overloaded; the same call may work later."""


class StoreRefused(StoreError):
    """ClickHouse will never accept this statement or these rows."""


class StoreMisfit(StoreRefused):
    """ClickHouse is set up otherwise than this version needs: it accepts no rows until somebody mends that."""
