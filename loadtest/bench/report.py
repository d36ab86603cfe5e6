"""The result of a benchmark: one JSON object, so that runs can be compared over time."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil


def machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_before": round(os.getloadavg()[0], 2),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`limit`: the bare limit in the same unit, or None; `ratio`: how much of it was reached (1 = all)."""

    name: str
    figure: float
    unit: str
    limit: float | None
    ratio: float | None
    required: str
    ok: bool
    inputs: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=machine)

    def write(self, path: Path | None) -> None:
        if path is not None:
            path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))

    def lines(self) -> list[str]:
        """For a person."""
        bare = "" if self.limit is None else f"; bare limit {self.limit:,.6g} {self.unit}"
        ratio = "" if self.ratio is None else f"; ratio {self.ratio:.2f}"
        return [
            f"{self.name}: {self.figure:,.6g} {self.unit}{bare}{ratio}",
            f"required {self.required}: {'reached' if self.ok else 'NOT REACHED'}",
            *(f"  {name}: {value}" for name, value in self.details.items()),
        ]
