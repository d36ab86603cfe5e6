"""A process that is asked what it is doing says so, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import asyncio, threading
from adapters import stacks

async def waits_for_kafka():
    await asyncio.sleep(60)

async def outer():
    await waits_for_kafka()

async def elsewhere():
    stacks.include(asyncio.get_running_loop())
    other = asyncio.create_task(outer(), name="in another thread")
    await other

async def main():
    stacks.on_signal()
    task = asyncio.create_task(outer(), name="lane-7")
    threading.Thread(target=lambda: asyncio.run(elsewhere()), name="consumer", daemon=True).start()
    await asyncio.sleep(0.5)
    print("ready", flush=True)
    await asyncio.to_thread(input)
    print("went on", flush=True)

asyncio.run(main())
"""


def test_a_process_says_what_its_threads_and_tasks_wait_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        said = ""
        while "end of stacks" not in said:
            said += process.stderr.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "went on\n"
        process.kill()
    assert "(most recent call first)" in said
    for task in ("lane-7", "in another thread"):
        stack = said.partition(f"Task {task}:\n")[2]
        assert "in outer\n" in stack.splitlines(keepends=True)[0]
        assert "in waits_for_kafka\n" in stack.splitlines(keepends=True)[1]
