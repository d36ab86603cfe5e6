"""How long an aggregator says that it took for a request: the header `Server-Timing` (W3C Server Timing).

>>> seconds_taken(['cache;desc="hit"', "db;dur=3, taken;dur=18.2"])
0.0182
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_TAKEN: Final = re.compile(r"(?:^|,)\s*taken\s*;\s*dur\s*=\s*(\d{1,6}(?:\.\d{1,6})?)\s*(?=$|[,;])", re.ASCII)
_LONGEST: Final = 1000
"""Characters of a header that are read."""


def seconds_taken(headers: Iterable[str]) -> float:
    """Seconds of the metric `taken`, the smallest if there are several; 0 if there is none that can be read."""
    found = [float(text) for header in headers for text in _TAKEN.findall(header[:_LONGEST])]
    return min(found, default=0.0) / 1000
