"""Statuses of a campaign: which of them belong together is said once, in schemas/campaign.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from schemas.campaign import CHANGING, IN_LANES, OVER, SENT_OUT, Status

ROOT = Path(__file__).parents[2]
STATUSES = frozenset(get_args(Status))
DECIDE = ("schemas/campaign.py", "schemas/reasons.py", "pipeline/campaign/")
"""Where statuses are listed: the type, what has a reason, and the machine that leads from one to the other."""


def lists(source: str) -> Iterator[tuple[int, list[str]]]:
    """(line, statuses) of each set, tuple or list of three statuses or more in Python."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Set | ast.Tuple | ast.List):
            words = [part.value for part in node.elts if isinstance(part, ast.Constant)]
            if len(words) > 2 and len(words) == len(node.elts) and STATUSES.issuperset(words):
                yield node.lineno, words


def test_nobody_else_lists_statuses() -> None:
    packages = ("schemas", "pipeline", "adapters", "agents", "api", "cli", "simulation", "loadtest", "devstack")
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {words}"
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(DECIDE)
        for line, words in lists(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []
    assert list(lists('if status in ("sending", "paused", "suspended"): pass')), "the search finds such a list"


def test_the_page_lists_no_statuses() -> None:
    words = "|".join(STATUSES)
    listed = re.compile(rf'\[\s*"(?:{words})"(?:\s*,\s*"(?:{words})")+\s*\]')
    pages = sorted((ROOT / "dashboards" / "realtime").glob("*.js"))
    assert [path.name for path in pages if listed.search(path.read_text(encoding="utf-8"))] == []
    assert listed.search('new Set(["sending", "sent"])')


def test_groups_say_what_their_names_say() -> None:
    assert IN_LANES < CHANGING < STATUSES
    assert not IN_LANES & (SENT_OUT | OVER)
    assert not CHANGING & OVER
    assert {"sent"} == CHANGING & SENT_OUT
