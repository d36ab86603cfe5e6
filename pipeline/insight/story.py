"""What a status means, in a sentence, for `longwave explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.limits.smart_sending import read_blocker

_STATES: Final[Mapping[str, str]] = {
    "delayed": "waits until it is due",
    "queued": "due, waits for its turn in the lane",
    "in_flight": "about to be handed to the aggregator",
    "accepted": "handed to the aggregator",
    "rejected": "refused by the aggregator",
    "unknown": "handed over, and nobody knows whether it arrived",
    "delivered": "delivered, says the receipt",
    "undelivered": "not delivered, says the receipt",
    "canceled": "canceled before it was handed over",
    "expired": "not sent in time",
    "skipped": "skipped",
    "clicked": "followed the link",
    "opted_out": "opted out",
    "replied": "replied",
}
_REASONS: Final[Mapping[str, str]] = {
    "quiet_hours": "quiet hours: no message at that local time",
    "smart_sending": "smart sending: too close to another message",
    "legal_cap": "as many messages in 24 hours as the law of the place allows",
    "account_cap": "as many messages as the account lets a recipient have in a day or a week",
    "opted_out": "opted out",
    "held_for_review": "a text of theirs may be an opt-out: held until an operator has decided",
    "invalid_number": "the number is too short to be one",
    "unknown_zone": "nothing says in which time zone this is, and the account skips such recipients",
    "local_time_passed": "the local time was past at the launch, and the campaign skips then",
    "no_allowed_hours": "no hour is allowed in every zone that may be theirs",
    "empty_text": "the text would say nothing beside the site's name",
    "unreachable": "a carrier said that this number cannot be reached",
    "too_many_segments": "the text takes more segments than the account allows (max_segments)",
    "not_counted": "of what was never handed over: it counts for nothing",
    "deadline": "the campaign's deadline was over",
    "too_late": "our machines or the aggregator were away for so long that it would have come later than the account "
    "allows",
    "carrier_day": "the carrier's segments of the day were used up",
    "throttled": "the aggregator asked to wait",
    "not_sent_by_lost_owner": "the process that was to hand it over stood still, and said later that it had not",
    "owner_lost": "the process that handed it over ended before it knew the outcome",
    "no_answer": "the aggregator did not answer an attempt, and there was no other one",
    "campaign_canceled": "the campaign was canceled",
    "held_back": "the last check found it too old or the campaign not running",
}


def sentence(state: str, reason: str, segments: int, price: int, identity: str) -> str:
    """A status in words. `price` in millionths of a credit per segment; `identity` is what the status has as id."""
    text = _STATES.get(state, state)
    if reason:
        text += f": {_REASONS.get(reason, reason)}"
    blocker = read_blocker(identity)
    if blocker is not None:
        return f"{text} (message {blocker[1]} of campaign {blocker[0]})"
    if state in ("accepted", "unknown") and segments:
        text += f", {segments} segment{'' if segments == 1 else 's'}, {segments * price / 1_000_000:.4f} credits"
    return f"{text}, id {identity}" if identity else text


def consent_words(state: str, hold: str) -> str:
    """A change of consent in words."""
    if hold:
        return "held for review" if state == "held" else "hold ended"
    return "opted out" if state == "out" else "opted in"
