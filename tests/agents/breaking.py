"""`python -m tests.agents.breaking worker|writer FILE`: the process as it is, whose producer meets a fatal error of
librdkafka once FILE exists."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from adapters import logs
from adapters.settings import load
from agents import app, writer_app
from tests.fatal_error import raise_fatal


def _break(built: Any, file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)
    raise_fatal(built.context.producer._producer, "records out of order")


if __name__ == "__main__":
    _, what, file = sys.argv
    built = app.build(load(), 0) if what == "worker" else writer_app.build(load())
    threading.Thread(target=_break, args=(built, Path(file)), daemon=True).start()
    logs.to_stderr()
    app.run(built)
