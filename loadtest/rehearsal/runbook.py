"""The runbooks: a page for each alert, whose commands a rehearsal runs as they stand there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.terminal import UserError

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "operating" / "runbooks"
COMMAND_SECONDS: Final = 300.0
FENCE: Final = "```"


@dataclass(frozen=True, slots=True)
class Ran:
    """A command of a runbook that was run: its exit code, and the end of what it said."""

    command: str
    code: int
    said: str


def commands(alert: str, folder: Path = FOLDER) -> list[str]:
    """The lines of the code blocks of an alert's page.

    Raises:
        UserError: it has none.
    """
    page = folder / f"{alert}.md"
    if not page.is_file():
        raise UserError(f"alert {alert} has no runbook {page}")
    lines, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith(FENCE):
            inside = not inside
        elif inside:
            lines.append(line.partition("  #")[0].strip().removeprefix("$ "))
    return lines


def missing(alert: str, wanted: tuple[str, ...], folder: Path = FOLDER) -> list[str]:
    """Those of the wanted commands that do not stand literally in the alert's page."""
    there = commands(alert, folder)
    return [command for command in wanted if command not in there]


def run(command: str, values: Mapping[str, list[str]], env: Mapping[str, str]) -> Ran:
    """Run `longwave …` with the values of its placeholders (`CAMPAIGN`) filled in.

    Raises:
        UserError: it is not a command of ours.
    """
    first, *words = shlex.split(command)
    if first != "longwave":
        raise UserError(f"a rehearsal runs commands of longwave only, not `{command}`")
    filled = [part for word in words for part in values.get(word, [word])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli.main", *filled],
        env=dict(env), capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    return Ran(command, done.returncode, (done.stdout + done.stderr)[-2000:])
