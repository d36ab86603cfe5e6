"""`python -m devstack.clickhouse DATA PORT [HOST] [--keep-free BYTES]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from devstack.clickhouse import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="devstack.clickhouse", description="A local ClickHouse over HTTP.")
    parser.add_argument("data", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("--keep-free", type=int, help="bytes of the disk to leave unused")
    given = parser.parse_args()
    serve(given.data, given.host, given.port, given.keep_free)
