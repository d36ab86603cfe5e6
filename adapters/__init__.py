"""What speaks to the outside: Kafka's producer, ClickHouse, aggregators, files, settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder


class _WithoutPandas(MetaPathFinder):
    """Hazard: where pandas is installed (chDB requires it), pyarrow imports all of it, to look whether the list that
    it is given is one of pandas' series: some 60 MB and a second of CPU in each process. We use none of it. A None in
    `sys.modules` will not do, because Cython takes that for the module."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not used here (adapters/__init__.py)", name=name)


sys.meta_path.insert(0, _WithoutPandas())
