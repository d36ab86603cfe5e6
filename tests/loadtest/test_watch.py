"""What benchmarks see of a stack's processes, and which of them they may strike."""

from __future__ import annotations

from pathlib import Path

from adapters.settings import Settings
from devstack import record
from loadtest.bench.stack import Stack
from loadtest.bench.watch import resident_mb


def test_a_process_that_waits_to_be_started_again_is_not_taken_for_the_one_that_looks(tmp_path: Path) -> None:
    record.write(
        tmp_path,
        {
            "processes": [
                {"name": "worker-0", **record.of_this_process()},
                {"name": "aggregator", "pid": None, "created": 0.0},
            ]
        },
    )
    stack = Stack(Settings(data=tmp_path))
    assert resident_mb(stack).keys() == stack.processes().keys() == {"worker-0"}
    assert resident_mb(stack)["worker-0"] > 10
