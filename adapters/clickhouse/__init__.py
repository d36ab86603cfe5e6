"""Everything that Longwave asks of ClickHouse, over HTTP; a server and the local endpoint alike.

`Store` is the connection, shared by all threads; the functions of the modules take it as their first argument.
"""

from __future__ import annotations

from adapters.clickhouse.connection import Store
from adapters.clickhouse.failures import mapped
from adapters.clickhouse.migrate import migrate

__all__ = ["Store", "mapped", "migrate"]
