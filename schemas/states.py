"""The states of a recipient in words, in the order in which bars and tables show them: final ones first.

`schemas.succession` has their order in time. The page and the command line read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class StateWords:
    """A state for people: its name, what it means, and what one entry of a recipient's history says."""

    label: str
    meaning: str
    entry: str


STATES: Final[Mapping[str, StateWords]] = {
    "delivered": StateWords("Delivered", "The carrier confirmed delivery.", "delivered, according to the receipt"),
    "accepted": StateWords(
        "Accepted", "The aggregator took the message. No receipt has come yet.", "accepted by the aggregator"
    ),
    "undelivered": StateWords(
        "Undelivered", "The carrier could not deliver the message.", "not delivered, according to the receipt"
    ),
    "rejected": StateWords("Rejected", "The aggregator refused the message.", "refused by the aggregator"),
    "unknown": StateWords(
        "Unknown",
        "A process stopped or no answer came while the message was being submitted. It may have been sent. It is not "
        "sent again.",
        "submitted, and not known whether it arrived",
    ),
    "skipped": StateWords("Skipped", "The rules do not allow a message to this recipient.", "skipped"),
    "expired": StateWords(
        "Expired",
        "The deadline passed, or the message would have been too late after an outage.",
        "not sent in time",
    ),
    "canceled": StateWords(
        "Canceled",
        "The campaign was canceled before the message was submitted.",
        "canceled before it was submitted",
    ),
    "in_flight": StateWords(
        "In flight", "The message is being submitted now.", "is being submitted to the aggregator"
    ),
    "queued": StateWords("Queued", "The message is due and waits for the sender’s limit.", "due, waits in the lane"),
    "delayed": StateWords("Delayed", "The message waits for its send time.", "waits until it is due"),
    "pending": StateWords("Pending", "No decision has been made yet.", "not looked at yet"),
}
EVENTS: Final[Mapping[str, str]] = {
    "clicked": "followed the link", "opted_out": "opted out", "replied": "replied",
}  # fmt: skip
"""What a recipient did, in words."""
