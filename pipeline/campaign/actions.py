"""What operators may do to a campaign in each status: the status machine, the API and the page read this table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.campaign import Action, Status

ACTIONS: Final[Mapping[Status, tuple[Action, ...]]] = {
    "draft": ("launch", "edit", "delete"),
    "scheduled": ("cancel", "delete"),
    "processing": ("pause", "cancel"),
    "sending": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "suspended": ("resume", "pause", "cancel"),
    "sent": ("resolve",),
    "finished": ("resolve",),
    "canceled": ("resolve",),
    "failed": (),
}
"""In the order in which they are offered. `resolve` is of use only while somebody is unknown, and is
allowed where nobody but a late receipt changes who is."""


def is_allowed(action: Action, status: Status) -> bool:
    """Whether a campaign in a status takes a command."""
    return action in ACTIONS[status]
