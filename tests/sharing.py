"""Stacks that several files share: begun by the first test that asks, ended with the last of its group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

SHARED_STAGE = "shared stage"
SCRIPTED_STAGE = "scripted stage"
LIVE = "live stack"
OWN_KAFKA = "own broker"
_FILES = {
    SHARED_STAGE: ("trouble/test_lawful", "trouble/test_poison", "trouble/test_race", "trouble/test_workers"),
    SCRIPTED_STAGE: (
        "trouble/test_alerts",
        "trouble/test_cancel",
        "trouble/test_domains",
        "trouble/test_health",
        "trouble/test_opt_outs",
        "trouble/test_outside",
        "trouble/test_servers",
    ),
    LIVE: (
        "api/test_accounts_live",
        "api/test_consent",
        "api/test_forecast",
        "api/test_keys_live",
        "api/test_page",
        "api/test_review",
        "api/test_schemathesis",
        "api/test_server",
        "cli/test_bad_input",
        "cli/test_campaign",
        "cli/test_drafts",
        "cli/test_money_and_domains",
        "deploy/test_dashboards",
    ),
    OWN_KAFKA: (
        "agents/lane/test_asker",
        "agents/lane/test_owner",
        "agents/lane/test_rewind",
        "agents/test_process",
        "agents/test_refused",
    ),
}
GROUPS = {f"tests/{file}.py": group for group, files in _FILES.items() for file in files}
"""Files that share a stack. Every other file is a group by itself."""
_PLACES = {
    # It counts every consent and every reply that there is.
    "trouble/test_opt_outs": -1,
    # It changes what it finds at random.
    "api/test_schemathesis": 1,
    # It leaves forty campaigns that wait for receipts and are looked at again and again.
    "trouble/test_race": 1,
    # It kills the broker.
    "agents/test_process": 1,
}
PLACES = {f"tests/{file}.py": place for file, place in _PLACES.items()}
"""Files that go before (-1) or after (1) those that they share with."""
_open: dict[str, Any] = {}
_ends: defaultdict[str, ExitStack] = defaultdict(ExitStack)


def shared(group: str, made: Callable[[], AbstractContextManager[Any]]) -> Any:
    """What `made` gives, one for all tests of a group."""
    if group not in _open:
        _open[group] = _ends[group].enter_context(made())
    return _open[group]


def group_of(nodeid: str) -> str:
    """The group of a test."""
    file = nodeid.partition("::")[0]
    return GROUPS.get(file, file)


def place_of(nodeid: str) -> int:
    """When a test's file has its turn in its group: the smaller, the earlier."""
    return PLACES.get(nodeid.partition("::")[0], 0)


class GroupScheduling(LoadFileScheduling):  # type: ignore[misc]
    """A group's tests go to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def ended(item: pytest.Item, following: pytest.Item | None) -> None:
    """End what the group of `item` shares if no test of it follows. Left running to the end of the session it would
    take a quarter of a core from all other tests."""
    group = group_of(item.nodeid)
    if following is None or group_of(following.nodeid) != group:
        _open.pop(group, None)
        _ends.pop(group, ExitStack()).close()
