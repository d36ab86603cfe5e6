"""Whether a supervisor still runs on a data folder, however it ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from devstack import background, record


def test_a_supervisor_that_was_killed_has_ended_though_its_record_stays(tmp_path: Path) -> None:
    assert background.has_ended(tmp_path), "there never was one"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as supervisor:
        started = psutil.Process(supervisor.pid).create_time()
        record.write(tmp_path, {"pid": supervisor.pid, "created": started, "state": "ready"})
        assert not background.has_ended(tmp_path)
        supervisor.kill()
    assert background.has_ended(tmp_path)
