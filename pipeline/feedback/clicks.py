"""Classifies requests of short links: by a person, or by a bot (a link preview, a scanner). None is dropped.

A machine is known by its User-Agent (dated data in rules/preview_bots.toml), by HEAD, by saying that it fetches ahead
(`Sec-Purpose: prefetch` and its older spellings), or by coming within `TOO_FAST_MS` of the sending. Browsers begin
their User-Agent alike: what begins otherwise, or has a word that ends in "bot", is a machine that the list does not
name yet.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Final, Literal, get_args

from schemas.feedback import Click, ClickBatch
from schemas.reasons import Reason, written
from schemas.status import StatusChunk, StatusGroup

TOO_FAST_MS: Final = 1_500
"""A click sooner than this after the aggregator accepted the message is not a person's."""
_AHEAD: Final = ("prefetch", "prerender", "preview")

_BROWSERS: Final = ("mozilla/5.0 (", "opera/")
_CALLED_BOT: Final = re.compile(r"([a-z]*bot)(?![a-z])")
_UNLISTED: Final = "unlisted"

Match = Literal["exact", "prefix", "contains"]


NOT_KNOWN: Final[Mapping[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Bot:
    """One entry of the list: a client whose User-Agent matches `text` is a bot."""

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


def statuses(batch: ClickBatch, sent: Mapping[int, int] = NOT_KNOWN) -> StatusChunk | None:
    """The status chunk of a batch, None for an empty one: event `clicked` with reason `person` or `bot:NAME`. `sent`:
    ordinal → when (ms) the message was submitted, if known.

    A recipient is named once per reason, whatever the number of clicks and links; `at` is the latest click's.
    """
    ordinals: dict[str, dict[int, None]] = {}
    for click in batch.clicks:
        ordinals.setdefault(reason_of(click, sent.get(click.ordinal)), {})[click.ordinal] = None
    if not ordinals:
        return None
    groups = [StatusGroup(state="clicked", reason=reason, ordinals=list(who)) for reason, who in ordinals.items()]
    at = max(click.at for click in batch.clicks)
    return StatusChunk(campaign=batch.campaign, message=batch.message, at=at, groups=groups)


def reason_of(click: Click, sent: int | None = None) -> str:
    """`person`, or the kind of bot: `bot:head`, `bot:prefetch`, `bot:NAME` of the list, `bot:unlisted`,
    `bot:too_fast`. `sent` in ms."""
    if click.method.upper() == "HEAD":
        return written(Reason.BOT, "head")
    if any(word in click.purpose.casefold() for word in _AHEAD):
        return written(Reason.BOT, "prefetch")
    folded = click.user_agent.strip().casefold()
    named = next((written(Reason.BOT, bot.name) for bot in BOTS if bot.fits(folded)), None)
    if named is not None:
        return named
    if _is_machine(folded):
        return written(Reason.BOT, _UNLISTED)
    return written(Reason.BOT, "too_fast") if sent is not None and click.at - sent < TOO_FAST_MS else Reason.PERSON


def _is_machine(folded: str) -> bool:
    """Whether a User-Agent in folded case is no browser's, or names itself a bot."""
    if not folded.startswith(_BROWSERS):
        return True
    return any(word not in _PHONES for word in _CALLED_BOT.findall(folded))


def _load() -> tuple[Bot, ...]:
    bots = tuple(Bot(**entry) for entry in _DATA["bot"])
    for bot in bots:
        if bot.match not in get_args(Match):
            raise ValueError(
                f"rules/preview_bots.toml: {bot.name}: match {bot.match!r}, not one of {get_args(Match)}"
            )
    return bots


_DATA: Final = tomllib.loads(files("pipeline.rules").joinpath("preview_bots.toml").read_text(encoding="utf-8"))
_PHONES: Final = frozenset(word.casefold() for entry in _DATA["phone"] for word in entry["words"])
BOTS: Final = _load()
