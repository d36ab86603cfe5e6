"""Attribution: which message a text follows, the last that its number got from that sender within seven days.

A STOP counts as `opted_out` for that message, any other text as `replied`. An opt-out by link counts for the link's
campaign. A held text that an operator accepts as an opt-out counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.status import StatusChunk, StatusGroup

WINDOW_MS: Final = 7 * 24 * 3_600_000
EARLY_MS: Final = 5_000
"""How long before its message a text may seem to come: machines answer before the message's outcome is recorded."""

Event = Literal["opted_out", "replied"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A text or an opt-out by link that is to be attributed. `item` names it; `at` in ms, by our clock. A text has
    the sender that received it, a link its campaign."""

    number: int
    item: str
    sender: str
    campaign: str
    at: int
    event: Event


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was submitted to a number, `at` in ms."""

    campaign: str
    message: int
    ordinal: int
    at: int


@dataclass(frozen=True, slots=True)
class Found:
    """The message that a text follows; `sent` None if there certainly is none."""

    waiting: Waiting
    sent: Sent | None


def message_of(waiting: Waiting, sent: Iterable[Sent]) -> Sent | None:
    """The message that a text or link follows, of all messages to its number from the sender, or from the link's
    campaign."""
    if waiting.campaign:
        mine = [sent_message for sent_message in sent if sent_message.campaign == waiting.campaign]
        in_time = [sent_message for sent_message in mine if sent_message.at <= waiting.at + EARLY_MS]
        return max(in_time or mine, key=_newest, default=None)
    latest = waiting.at + EARLY_MS
    return max(
        (sent_message for sent_message in sent if latest - WINDOW_MS <= sent_message.at <= latest),
        key=_newest,
        default=None,
    )


def statuses(attributions: Sequence[Found]) -> list[StatusChunk]:
    """The events, in chunks by campaign and message."""
    groups: dict[tuple[str, int], dict[Event, set[int]]] = {}
    newest: dict[tuple[str, int], int] = {}
    for attribution in attributions:
        if attribution.sent is None:
            continue
        key = attribution.sent.campaign, attribution.sent.message
        groups.setdefault(key, {}).setdefault(attribution.waiting.event, set()).add(attribution.sent.ordinal)
        newest[key] = max(newest.get(key, 0), attribution.waiting.at)
    return [_chunk(key, events, newest[key]) for key, events in groups.items()]


def _chunk(key: tuple[str, int], events: Mapping[Event, set[int]], at: int) -> StatusChunk:
    made = [StatusGroup(state=event, ordinals=sorted(ordinals)) for event, ordinals in sorted(events.items())]
    return StatusChunk(campaign=key[0], message=key[1], at=at, groups=made)


def _newest(sent: Sent) -> tuple[int, str, int, int]:
    return sent.at, sent.campaign, sent.message, sent.ordinal
