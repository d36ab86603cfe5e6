"""`longwave explain CAMPAIGN NUMBER`: all events of one recipient, in UTC and in the recipient's local time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.terminal import UserError, WrongUse, say, write_json
from schemas.json import JsonObject
from schemas.reasons import Reason, in_words
from schemas.times import iso, iso_of, iso_or_none

if TYPE_CHECKING:
    from adapters.clickhouse.consents import Change
    from adapters.clickhouse.story import CampaignRow, Recipient, RecipientEvent
    from adapters.settings import Settings


def explain(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id.")],
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help="With + and country code, for instance +33612345678.")
    ],
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
    ] = None,
) -> None:
    """Show why one recipient got the message when they did, or why they did not get it."""
    story = _story(campaign, _number(number))
    if str(json) != "-":
        for line in lines(story):
            say(line)
    write_json(json, as_json(story))


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one recipient. `zones`: where they may be; `rule`: the quiet hours at the first decision."""

    campaign: CampaignRow
    number: int
    recipient: Recipient
    zones: tuple[str, ...]
    zones_from: str
    rule: str
    events: list[RecipientEvent]
    blocker: Blocker | None
    consents: list[Change]
    """Consent changes for the campaign's account and for every account."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """The other message that blocks this one by smart sending; `at` (ms) is its planned time."""

    campaign: str
    name: str
    message: int
    at: int


def _number(text: str) -> int:
    from pipeline.numbers.numbering import Accepted, canonical, read

    parsed = read(text if text.startswith("+") else f"+{text}", "")
    if isinstance(parsed, Accepted):
        return parsed.number
    digits = re.sub(r"[\s().+-]", "", text)
    if not digits.isdecimal() or not 0 < len(digits) <= 15:
        raise WrongUse(
            f"{text!r} is not a telephone number; write it with + and country code, for instance +33612345678"
        )
    return canonical(int(digits))


def _story(campaign: str, number: int) -> Story:
    from adapters.clickhouse import Store
    from adapters.clickhouse.story import campaign_row
    from adapters.settings import load

    settings = load()
    store = Store(settings.clickhouse.reading(), timeout=30.0)
    try:
        campaign_found = campaign_row(store, campaign) if re.fullmatch("[0-9a-z]{8}", campaign) else None
        if campaign_found is None:
            raise UserError(f"no campaign {campaign!r}; see `longwave campaign list`")
        return _of_recipient(store, settings, campaign_found, number)
    finally:
        store.close()


def _of_recipient(store: Any, settings: Settings, campaign: CampaignRow, number: int) -> Story:
    from adapters.clickhouse import story
    from adapters.clickhouse.consents import history

    recipient = story.recipient(store, campaign.id, number)
    if recipient is None:
        if not campaign.recipients:
            raise UserError(f"campaign {campaign.id} has no audience yet: it is {campaign.status}; launch it first")
        raise UserError(
            f"+{number} is not in the audience of {campaign.id} ({campaign.name}), whose "
            f"{campaign.recipients:,} recipients are listed by `longwave campaign export {campaign.id}`"
        )
    events = story.recipient_events(store, campaign.id, recipient.ordinal)
    zones, zones_from, rule = _place(settings, campaign, recipient, number, _decided_at(campaign, events))
    return Story(
        campaign=campaign,
        number=number,
        recipient=recipient,
        zones=zones,
        zones_from=zones_from,
        rule=rule,
        events=events,
        blocker=_blocker(store, events),
        consents=[consent for consent in history(store, number) if consent.account in ("", campaign.account)],
    )


def _decided_at(campaign: CampaignRow, events: list[RecipientEvent]) -> int:
    return events[0].at if events else campaign.launched


def _place(
    settings: Settings, campaign: CampaignRow, recipient: Recipient, number: int, at: int
) -> tuple[tuple[str, ...], str, str]:
    """Zones, where they are from, and the quiet hours in words as of `at` (ms)."""
    from cli.accounts.book import stored_book
    from pipeline.accounts.book import quiet_hours
    from pipeline.timing.quiet_explain import explain as quiet_words
    from pipeline.timing.zones import candidate_zones, zones_of

    accounts = stored_book(settings)
    account = accounts.account(campaign.account)
    store_zone = account.spec.store_zone if account else "UTC"
    zones = zones_of(recipient.zone, number, store_zone, account.spec.unknown_zone if account else "store")
    if zones == Reason.UNKNOWN_ZONE:
        return (), "not known from contact or number, and the account skips such recipients", ""
    zones_from = "the contact" if recipient.zone else "the number" if candidate_zones(number) else "the store"
    if account is None:
        return zones, zones_from, f"account {campaign.account} was removed, so its rules are not known"
    if campaign.spec.get("transactional"):
        return zones, zones_from, "transactional: quiet hours and smart sending do not apply"
    quiet = quiet_hours(accounts, campaign.account, settings.simulated(), at)
    return zones, zones_from, quiet_words(quiet, at, zones, (recipient.country, recipient.region))


def _blocker(store: Any, events: list[RecipientEvent]) -> Blocker | None:
    from adapters.clickhouse.story import campaign_row
    from pipeline.limits.smart_sending import read_blocker

    for event in events:
        blocking = read_blocker(event.id) if event.state == "skipped" else None
        if blocking is not None:
            other = campaign_row(store, blocking[0])
            return Blocker(blocking[0], other.name if other else "a deleted campaign", blocking[1], blocking[2])
    return None


def as_json(story: Story) -> JsonObject:
    """The story with times as ISO 8601 in UTC."""
    value = asdict(story)
    value["campaign"] = {key: item for key, item in value["campaign"].items() if key != "spec"}
    value["campaign"]["launched"] = iso_or_none(story.campaign.launched)
    for part in (*value["events"], *([value["blocker"]] if value["blocker"] else [])):
        part["at"] = iso(part["at"])
    for part in value["consents"]:
        part |= {name: iso_of(part[name]) for name in ("at", "recorded")}
    value["state"] = _state(story)
    return value


def _state(story: Story) -> str:
    last = max(story.events, key=lambda event: event.rank, default=None)
    return "pending" if last is None or (last.rank <= 0 and last.state != "canceled") else last.state


def lines(story: Story) -> Iterator[str]:
    """The story in words."""
    from pipeline.insight.story import consent_words, sentence

    campaign, recipient = story.campaign, story.recipient
    place = "-".join(part for part in (recipient.country, recipient.region) if part) or "unknown"
    whom = f"+{story.number}, recipient {recipient.ordinal:,} of {campaign.recipients:,}"
    yield f"{whom} in {campaign.name} [{campaign.id}]"
    reason = f", {in_words(campaign.reason)}" if campaign.reason else ""
    yield f"now        {_state(story)}   (campaign: {campaign.status}{reason})"
    yield f"place      {place}"
    yield f"zones      {', '.join(story.zones) or '-'}   (by {story.zones_from})"
    yield f"launched   {_both(campaign.launched, story)}" if campaign.launched else "launched   not yet"
    for line in story.rule.splitlines():
        yield f"hours      {line}"
    if not story.events:
        yield "nothing is recorded yet"
    for event in story.events:
        text = sentence(event.state, event.reason, event.segments, event.price, event.id)
        attempt = f", attempt {event.attempt + 1}" if event.attempt else ""
        yield f"{_both(event.at, story)}  message {event.message}: {text}{attempt}"
    if story.blocker is not None:
        other = story.blocker
        yield f"blocked by {other.name} [{other.campaign}], message {other.message}, planned {_both(other.at, story)}"
    for consent in story.consents:
        what = consent_words(consent.state, consent.hold)
        scope = f" at {consent.account}" if consent.account else ""
        yield (
            f"{_both(round(consent.recorded.timestamp() * 1000), story)}  consent: {what}{scope} by {consent.source}"
            + (f" ({consent.evidence!r})" if consent.evidence else "")
        )


def _both(at: int, story: Story) -> str:
    """An instant in UTC and in the recipient's local time; of several zones the earliest and the latest."""
    from pipeline.timing import tz

    clocks = sorted({f"{tz.local(at, zone):%a %H:%M %Z}": tz.offset(zone, at) for zone in story.zones}.items(),
                    key=lambda item: item[1])  # fmt: skip
    shown = [clock for clock, _ in clocks]
    local = shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}" if shown else "local time unknown"
    return f"{iso(at)} ({local})"
