"""What the endpoint uses of chDB, as types: chDB itself has none that mypy can use."""

from __future__ import annotations

from typing import Any, Protocol, cast

import chdb


class Result(Protocol):
    """What a statement returned, and how much it read and wrote."""

    def data(self) -> str: ...
    def bytes(self) -> bytes: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def rows_read(self) -> int: ...
    def elapsed(self) -> float: ...


class Inserted(Protocol):
    """What an insert wrote."""

    rows_written: int
    bytes_written: int
    elapsed: float


class Inserter(Protocol):
    """Takes the rows of one INSERT."""

    def append(self, data: bytes) -> object: ...
    def finish(self) -> Inserted: ...
    def cancel(self) -> None: ...


class Connection(Protocol):
    """A session of the engine."""

    def query(self, query: str | bytes, format: str) -> Result: ...
    def send_insert(self, query: str, format: str) -> Inserter: ...
    def close(self) -> None: ...


def connect(path: str) -> Connection:
    """Open a session on the engine's data folder."""
    # chDB has annotations in some of its wheels and none in others.
    connect_to: Any = chdb.connect
    return cast(Connection, connect_to(path))
