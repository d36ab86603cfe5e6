"""The closing check of every scenario: everybody is accounted for, by us and by the aggregator's own record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pipeline.campaign.settlement import UNSENT
from schemas.succession import HANDED_OVER
from tests.trouble.scene import Campaign

ENDED = ("sent", "finished")


@dataclass(frozen=True, slots=True)
class Account:
    """The campaign at its end: the API's answer, its states, and the ids of the messages of unknown outcome."""

    shown: dict[str, Any]
    states: dict[str, int]
    unknown: set[str]


def accounted(
    campaign: Campaign, *, ends: tuple[str, ...] = ENDED, letters: int = 0, refusals: bool = False
) -> Account:
    """Wait until the campaign has ended, then hold all accounts against each other. Where receipts come, it has ended
    when it is finished: before that, what is shown and what is exported a second later may differ.

    `letters`: dead letters expected to wait. `refusals`: the aggregator's script throttles and drops, so one message
    may arrive more than once, but is taken once all the same.
    """
    shown = campaign.until("it has ended", lambda shown: shown["status"] in ends and _settled(shown))
    figures = shown["figures"]
    states = {state: count for state, count in figures["states"].items() if count}
    assert figures["targeted"] == campaign.recipients == sum(states.values()), states
    assert figures["residual"] == 0
    assert campaign.looks.conserved() > 0
    arrivals = campaign.scene.arrivals
    taken = arrivals.of(campaign.id)
    twice = {item: arrivals.taken[item] for item in taken if arrivals.taken[item] > 1}
    assert not twice, f"{len(twice)} were taken twice, for instance {sorted(twice)[:5]}"
    if not refusals:
        assert arrivals.count(campaign.id) == len(taken), "arrived more than once"
    exported = campaign.ids()
    assert Counter(exported.values()) == states
    handed_over = {item for item, state in exported.items() if state in HANDED_OVER}
    unknown = {item for item, state in exported.items() if state == "unknown"}
    assert len(handed_over) == figures["submitted"]
    assert not handed_over - taken, f"{len(handed_over - taken)} were never received"
    assert not taken - handed_over - unknown, f"{len(taken - handed_over - unknown)} are not in our account"
    actual = campaign.scene.letters()
    assert len(actual) == letters, [(item.origin, item.error) for item in actual]
    return Account(shown, states, unknown)


def _settled(shown: dict[str, Any]) -> bool:
    return bool(shown["figures"]) and not any(shown["figures"]["states"][state] for state in UNSENT)
