"""Requests of short links: a person, or the preview of a messaging app, a scanner. Flagged, never dropped.

The words are dated data in rules/preview_bots.toml. That a hit within 1.5 s of the send is no person is not told
here: neither a click nor its token holds the time of the send.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Final, Literal, get_args

from schemas.feedback import Click, ClickBatch
from schemas.status import StatusChunk, StatusGroup
from schemas.succession import PERSON

Match = Literal["exact", "prefix", "contains"]


@dataclass(frozen=True, slots=True)
class Bot:
    """One entry of the list: whose User-Agent matches `text` is no person."""

    name: str
    match: Match
    text: str
    source: str
    valid_from: date

    def fits(self, folded: str) -> bool:
        """Whether a User-Agent in folded case is this bot's."""
        text = self.text.casefold()
        match self.match:
            case "exact":
                return folded == text
            case "prefix":
                return folded.startswith(text)
            case "contains":
                return text in folded


def statuses(batch: ClickBatch) -> StatusChunk | None:
    """The status chunk of a batch, None for an empty one: event `clicked` with reason `person` or `bot:NAME`.

    A recipient is named once per reason, whatever the number of clicks and links; `at` is the latest click's.
    """
    ordinals: dict[str, dict[int, None]] = {}
    for click in batch.clicks:
        ordinals.setdefault(reason_of(click), {})[click.ordinal] = None
    if not ordinals:
        return None
    groups = [StatusGroup(state="clicked", reason=reason, ordinals=list(who)) for reason, who in ordinals.items()]
    at = max(click.at for click in batch.clicks)
    return StatusChunk(campaign=batch.campaign, message=batch.message, at=at, groups=groups)


def reason_of(click: Click) -> str:
    """`person`, `bot:head` for a HEAD request, or `bot:NAME` of the list."""
    if click.method.upper() == "HEAD":
        return "bot:head"
    folded = click.user_agent.strip().casefold()
    return next((f"bot:{bot.name}" for bot in BOTS if bot.fits(folded)), PERSON)


def _load() -> tuple[Bot, ...]:
    data = tomllib.loads(files("pipeline.rules").joinpath("preview_bots.toml").read_text(encoding="utf-8"))
    bots = tuple(Bot(**entry) for entry in data["bot"])
    for bot in bots:
        if bot.match not in get_args(Match):
            raise ValueError(
                f"rules/preview_bots.toml: {bot.name}: match {bot.match!r}, not one of {get_args(Match)}"
            )
    return bots


BOTS: Final = _load()
