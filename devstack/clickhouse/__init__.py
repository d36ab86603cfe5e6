"""A local ClickHouse: its HTTP interface over chDB, the real engine in this process.

For development and tests without a ClickHouse server; clickhouse-connect and plain HTTP speak to both alike. It
asks for the password of its folder (user `default`, or `reader` who changes nothing), refuses web pages, and serves
tables only: see `access` and `guard`.

>>> curl -u "default:$(cat DATA/password)" 'http://127.0.0.1:8123/?query=SELECT+1'
1
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop

from adapters.doors.settings import LOOPBACK
from devstack.clickhouse.disk import DataDirectory, DataDirectoryTaken


def serve(data: Path, host: str, port: int, keep_free: int | None = None) -> None:
    """Serve ClickHouse's HTTP interface until SIGTERM or SIGINT; the data live below `data`.

    Ready when GET /ping answers ``Ok.``. Exits with code 1 and one line on stderr where another process has
    the directory or the address, or the address is not of loopback. `keep_free` bytes of the disk stay unused:
    INSERTs are refused before that.
    """
    if host not in LOOPBACK:
        _exit(
            f"this endpoint serves this machine only, not {host}: passwords would travel in clear text. Use "
            'clickhouse.host = "127.0.0.1", or a ClickHouse server for other machines'
        )
    try:
        directory = DataDirectory(data.resolve(), keep_free)
    except (DataDirectoryTaken, OSError) as error:
        _exit(str(error))
    try:
        uvloop.run(_main(directory, host, port))
    except OSError as error:
        _exit(f"cannot serve on {host}:{port}: {error.strerror or error}; choose another port")
    finally:
        directory.close()


async def _main(directory: DataDirectory, host: str, port: int) -> None:
    # The engine takes the machine's zone; a ClickHouse server in a container has UTC, and so has every stored time.
    os.environ["TZ"] = "UTC"
    # chDB is half a second of imports: a refusal should not wait for it.
    from devstack.clickhouse.engine import Engine
    from devstack.clickhouse.server import Server, run

    engine = Engine(directory)
    server = Server(engine, directory, host)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await run(server, host, port, stopping)
    finally:
        await asyncio.to_thread(server.wait)
        engine.close()


def _exit(reason: str) -> None:
    print(f"longwave clickhouse: {reason}", file=sys.stderr)
    raise SystemExit(1)
