"""All queries to ClickHouse, over HTTP; they work with a server and with the local endpoint.

`Store` is the connection, shared by all threads; the functions of the modules take it as their first argument.
"""

from __future__ import annotations

from adapters.clickhouse.connection import Store
from adapters.clickhouse.failures import mapped
from adapters.clickhouse.migrate import migrate

__all__ = ["Store", "mapped", "migrate"]
