"""What `status` and `doctor` find, and how they print it: problems first, each with what to do."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.terminal import say

WIDEST = 100
"""Columns of a line at most, also on a wide terminal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `fix` says what to do; it is empty if all is well."""

    what: str
    ok: bool
    detail: str
    fix: str = ""


def problems(findings: Iterable[Finding]) -> list[Finding]:
    """Those that are not well."""
    return [finding for finding in findings if not finding.ok]


def show_problems(problems: Sequence[Finding]) -> None:
    """Print the problems, each with its fix, as wide as the terminal."""
    say(f"{len(problems)} problem{'s' * (len(problems) != 1)}")
    for problem in problems:
        say(_wrapped(f"{problem.what}: {problem.detail}", "  ", "    "))
        say(_wrapped(f"fix: {problem.fix}", "    ", "         "))


def show_passed(passed: Sequence[Finding]) -> None:
    """Print the checks that are well."""
    for finding in passed:
        say(_wrapped(f"{finding.what}: {finding.detail}", "  ", "    "))


def short_path(path: str | Path) -> str:
    """A path as a user can type it here: relative to the working directory where that is shorter."""
    absolute, relative = str(path), os.path.relpath(path)
    return min(absolute, relative, key=len)


def _wrapped(text: str, first: str, others: str) -> str:
    # Paths and addresses stay whole, so that they can be copied.
    width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
