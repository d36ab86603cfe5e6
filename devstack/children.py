"""A child never outlives the process that keeps it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PARENT_VARIABLE = "LONGWAVE_PARENT"
_PR_SET_PDEATHSIG = 1


def environment() -> dict[str, str]:
    """This process's environment, for a child that is to follow it: see `follow_parent`."""
    return {**os.environ, PARENT_VARIABLE: str(os.getpid())}


def command(*words: str) -> list[str]:
    """The command line of `longwave WORDS` under this interpreter, whatever the working directory holds."""
    return [sys.executable, "-P", "-m", "cli.main", *words]


@contextlib.contextmanager
def running(
    *words: str, log: Path, variables: Mapping[str, str] | None = None, patience: float = 20.0
) -> Iterator[subprocess.Popen[bytes]]:
    """`longwave WORDS` as a child with these variables over this process's; its output is added to `log`.

    At the end it is terminated, and killed when it has not ended after `patience` seconds.
    """
    env = {**environment(), **(variables or {})}
    with log.open("ab") as out:
        child = subprocess.Popen(command(*words), stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def follow_parent() -> None:
    """When started with `environment()`: the kernel kills this process when its parent goes, even by `kill -9`.

    The setting survives exec, so a JVM inherits it. It follows the parent's *thread*: only a thread that lives as
    long as the parent may spawn. Linux only; elsewhere a killed parent leaves its children to `longwave down`.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it went before the setting was made
        os._exit(1)
