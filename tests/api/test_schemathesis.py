"""Schemathesis tries every route of a live API as its description says, with all checks, within half a minute."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.api.live import Live

ENDLESS = "/v1/live"
"""A stream that ends when the listener goes."""


def test_the_api_does_what_its_description_says(live: Live, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(Path(__file__).with_name("schemathesis.toml")),
        "run",
        f"{live.api.url}/openapi.json",
        "--phases=examples,coverage,fuzzing",
        "--checks=all",
        "--max-examples=6",
        "--max-time=25",
        "--request-timeout=20",
        "--seed=10",
        f"--exclude-path={ENDLESS}",
        f"--header=Authorization: Bearer {live.key}",
        "--generation-database=none",
        "--no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, f"{done.stdout[-8000:]}{done.stderr[-2000:]}"
