"""Stacks that several files share: begun by the first test that asks, ended with the last of its group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

_open: dict[str, Any] = {}
_ends: defaultdict[str, ExitStack] = defaultdict(ExitStack)


def shared(group: str, made: Callable[[], AbstractContextManager[Any]]) -> Any:
    """What `made` gives, one for all tests of an xdist group."""
    if group not in _open:
        _open[group] = _ends[group].enter_context(made())
    return _open[group]


def group_of(item: pytest.Item) -> str:
    """The xdist group of a test."""
    mark = item.get_closest_marker("xdist_group")
    return str(mark.args[0]) if mark else ""


def ended(item: pytest.Item, following: pytest.Item | None) -> None:
    """End what the group of `item` shares if no test of it follows. Left running to the end of the session it would
    take a quarter of a core from all other tests."""
    group = group_of(item)
    if following is None or group_of(following) != group:
        _open.pop(group, None)
        _ends.pop(group, ExitStack()).close()
