"""The review before a launch: what forbids it, what the operator should know, and what it will be about.

Pure: the facts about contacts and settings are arguments, `now` too. The API gathers them, shows the review and
refuses a launch over its problems. Who gets it, who is skipped and why, segments and cost are those of a rehearsal
(`pipeline.eligibility.rehearsal`): exact as long as nothing changes before eligibility comes to it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pipeline.accounts.domains import IN_WORDS, Pool
from pipeline.campaign.terms import Terms
from pipeline.content.outgoing import domain_kinds
from pipeline.content.render import Template
from pipeline.content.text_estimate import TextEstimate
from pipeline.content.texts import NOBODY_REACHED, PLAIN, Finding, check_texts, lacks_site_name
from pipeline.lane.lateness import late_rule
from pipeline.timing import tz
from pipeline.timing.tz import HOUR
from schemas.accounts import in_credits
from schemas.campaign import FIRST_YEAR, LAST_YEAR, DraftSpec
from schemas.ids import retried_campaign
from schemas.reasons import Reason, with_remedy, written
from schemas.times import to_minute

if TYPE_CHECKING:
    from pipeline.eligibility.rehearsal import Rehearsal

PAST_GRACE_MS: Final = 3_600_000
"""A send time up to an hour ago means "now": somebody took a while to press Launch."""
SHOWN_NUMBERS: Final = 5
_WITHOUT_PLUS: Final = "without + a number may be another person's: write it with + and country code"
LOUD_SHARE: Final = 0.5
"""A warning says so where at least this share of the recipients would get nothing."""
_SHOWN_CULPRITS: Final = 5
_SMALLEST_SHARE: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceFacts:
    """The facts about the audience, read from ClickHouse."""

    unknown_lists: Sequence[str] = ()
    refused_numbers: Sequence[tuple[str, str]] = ()
    """Typed numbers that cannot be sent to, each with its reason."""
    recipients: int
    with_value: Mapping[str, int] = field(default_factory=dict)
    """Attribute -> recipients that have a value of it."""
    attributes: Sequence[str] = ()
    """Names of attributes that recipients have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal over the whole audience counted. `uncounted`: what it could not count, in words."""

    outcome: Rehearsal
    texts: tuple[TextEstimate, ...]
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """`problems` forbid a launch, `warnings` do not. Without a rehearsal (a text or sender is missing) only the
    recipients are known."""

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    recipients: int
    sendable: int
    """Recipients whose message would be submitted."""
    skipped: Mapping[str, int]
    """Reason -> recipients who would be skipped."""
    expiring: int
    """Recipients whom quiet hours or their local time hold back until the deadline."""
    texts: tuple[TextEstimate, ...]
    segments: int
    cost: int
    """Millionths of a credit."""
    most: int
    """The most that it can cost, which is reserved at the launch where the account pays beforehand."""
    available: int | None = None
    """What can be reserved of the account's balance; None: it pays by invoice."""
    seconds: float
    """Shortest time that the sender's limit allows."""
    lateness: str
    """A sentence about messages that are late after an outage."""


def review(
    spec: DraftSpec,
    terms: Terms | None,
    unready: Sequence[Finding],
    audience: AudienceFacts,
    rehearsed: Rehearsed | None,
    now: int,
) -> Review:
    """Check a draft against the facts. `unready`: what it lacks, and why `terms` are None where they are."""
    problems = [*unready]
    warnings: list[Finding] = []
    templates, wrong = check_texts(spec, terms.wording if terms else PLAIN)
    problems += wrong
    problems += _audience_problems(spec, audience)
    for index, template in enumerate(templates):
        if template is not None:
            _check_fields(index, template, audience, problems, warnings)
            if terms is not None and lacks_site_name(template, terms.wording):
                warnings.append(Finding(f"messages.{index}.text", _unnamed(terms.wording.site_name)))
    warnings += _number_warnings(audience)
    _check_times(spec, terms.store_zone if terms else "UTC", now, problems, warnings)
    outcome = None if rehearsed is None else rehearsed.outcome
    if rehearsed is not None:
        _check_reach(rehearsed.outcome, problems, warnings)
        for index, text in enumerate(rehearsed.texts):
            warnings += _length_warnings(index, text)
        warnings += [Finding("audience", what) for what in rehearsed.uncounted]
        if terms is not None:
            _check_domains(terms.pools, templates, rehearsed.outcome.going, problems, warnings)
    segments = outcome.segments if outcome else 0
    return Review(
        problems=tuple(problems),
        warnings=tuple(warnings),
        recipients=outcome.recipients if outcome else audience.recipients,
        sendable=outcome.going if outcome else 0,
        skipped=dict(outcome.skipped.most_common()) if outcome else {},
        expiring=outcome.expiring if outcome else 0,
        texts=rehearsed.texts if rehearsed else (),
        segments=segments,
        cost=outcome.cost if outcome else 0,
        most=outcome.most if outcome else 0,
        seconds=segments / terms.segments_per_second if terms else 0.0,
        lateness=_lateness(spec, terms) if terms else "",
    )


def with_balance(reviewed: Review, available: int, is_for_later: bool) -> Review:
    """The review for an account that pays beforehand, of whose balance so much can be reserved."""
    reviewed = replace(reviewed, available=available)
    missing = reviewed.most - available
    if missing <= 0:
        return reviewed
    short = with_remedy(written(Reason.BALANCE_SHORT, in_credits(missing)))
    if not is_for_later:
        return replace(reviewed, problems=(*reviewed.problems, Finding("balance", short)))
    later = f"as it is now, it will wait for a top-up when it is due: {short}"
    return replace(reviewed, warnings=(*reviewed.warnings, Finding("balance", later)))


def _check_domains(
    pools: Sequence[Pool],
    templates: Sequence[Template | None],
    going: int,
    problems: list[Finding],
    warnings: list[Finding],
) -> None:
    """Report links for which there are not enough domains; `going` recipients get each message."""
    for pool in pools:
        having = [
            index for index, template in enumerate(templates) if template and pool.kind in domain_kinds(template.text)
        ]
        if not having or pool.left is None or not going:
            continue
        where, needed, words = f"messages.{having[0]}.text", going * len(having), IN_WORDS[pool.kind]
        remedy = f"add a domain or raise a limit (`longwave domains add`, {pool.kind})"
        if not pool.left:
            problems.append(Finding(where, f"all domains for {words} have reached their limit; {remedy}"))
        elif pool.left < needed:
            warnings.append(
                Finding(
                    where,
                    f"the domains for {words} have room for {pool.left:,} more messages and this needs {needed:,}: "
                    f"the rest waits, and the campaign is suspended, until there are more; {remedy}",
                )
            )


def _lateness(spec: DraftSpec, terms: Terms) -> str:
    limit = terms.transactional_lateness if spec.transactional else terms.lateness
    return late_rule(0 if limit is None else limit / HOUR)


def _check_reach(outcome: Rehearsal, problems: list[Finding], warnings: list[Finding]) -> None:
    """Report that no recipients, or fewer than half of them, would get the message."""
    n, unpriced = outcome.recipients, outcome.skipped[Reason.NO_PRICE]
    if unpriced and not outcome.going:
        problems.append(Finding("audience", f"nobody who could get it has a price: {with_remedy(Reason.NO_PRICE)}"))
        return
    if unpriced:
        warnings.append(Finding("audience", f"{unpriced:,} recipients are skipped: {with_remedy(Reason.NO_PRICE)}"))
    if not n or outcome.going > n * (1 - LOUD_SHARE):
        return
    reasons = Counter(outcome.skipped)
    if outcome.expiring:
        reasons[Reason.DEADLINE] = outcome.expiring
    reasons_text = shares(reasons)
    if outcome.going:
        left = n - outcome.going
        warnings.append(
            Finding("audience", f"{left:,} of {n:,} recipients ({left / n:.0%}) will get nothing: {reasons_text}")
        )
        return
    remedy = "change the time, the audience or smart_sending_hours, or confirm it (launch --allow-empty)"
    problems.append(
        Finding(
            "audience", f"none of {n:,} recipients will get the message: {reasons_text}; {remedy}", NOBODY_REACHED
        )
    )


def shares(counts: Mapping[str, int], most: int = 3) -> str:
    """The reasons with the most recipients, in words: `1,950 smart_sending, 10 opted_out`."""
    ordered = Counter(counts).most_common()
    shown = ", ".join(f"{count:,} {reason}" for reason, count in ordered[:most])
    rest = len(ordered) - most
    return shown if rest <= 0 else f"{shown} and {rest} more reason{'' if rest == 1 else 's'}"


def _no_list(name: str) -> str:
    if retried_campaign(name):
        return f"list {name!r} of a retry is not there: it is still being made, or its draft is deleted"
    return f"no list {name!r}; import contacts into it or correct its name"


def _audience_problems(spec: DraftSpec, audience: AudienceFacts) -> list[Finding]:
    problems = [Finding("audience.lists", _no_list(name)) for name in audience.unknown_lists]
    if not audience.recipients and not problems and (spec.audience.lists or spec.audience.numbers):
        names = ", ".join(spec.audience.lists) or "the typed numbers"
        problems.append(Finding("audience", f"no recipients: {names} have no valid number; import contacts first"))
    return problems


def _number_warnings(audience: AudienceFacts) -> list[Finding]:
    """One finding per reason for the typed numbers that are left out."""
    texts: dict[str, list[str]] = {}
    for text, reason in audience.refused_numbers:
        texts.setdefault(reason, []).append(repr(text))
    return [_left_out(reason, refused) for reason, refused in texts.items()]


def _left_out(reason: str, texts: list[str]) -> Finding:
    more = f" and {len(texts) - SHOWN_NUMBERS:,} more" if len(texts) > SHOWN_NUMBERS else ""
    words = _WITHOUT_PLUS if reason == Reason.NO_COUNTRY else with_remedy(reason)
    return Finding("audience.numbers", f"{len(texts):,} left out: {', '.join(texts[:SHOWN_NUMBERS])}{more}: {words}")


def _check_fields(
    index: int, template: Template, audience: AudienceFacts, problems: list[Finding], warnings: list[Finding]
) -> None:
    if not audience.recipients:
        return
    where = f"messages.{index}.text"
    for name in template.fields:
        having = audience.with_value.get(name, 0)
        if having >= audience.recipients:
            continue
        missing = audience.recipients - having
        strict = name in template.fields_without_default
        remedy = f"write {{{name}|a default}} or correct the name"
        if not having and strict:
            near = difflib.get_close_matches(name.casefold(), audience.attributes, 1)
            meant = f"write {{{near[0]}}}, which contacts have, or {remedy}" if near else remedy
            problems.append(Finding(where, f"no contact of the audience has a value of {{{name}}}; {meant}"))
        elif not having:
            warnings.append(Finding(where, f"no contact has {{{name}}}: all recipients get its default"))
        elif strict:
            warnings.append(Finding(where, f"{missing:,} recipients have no {{{name}}} and get a gap; {remedy}"))


def _check_times(spec: DraftSpec, zone: str, now: int, problems: list[Finding], warnings: list[Finding]) -> None:
    send_at = None if spec.send_at is None else tz.instant(spec.send_at, zone)
    deadline = None if spec.deadline is None else tz.instant(spec.deadline, zone)
    if send_at is not None and send_at < now - PAST_GRACE_MS:
        problems.append(
            Finding("send_at", f"{to_minute(send_at)} is past; remove it to send at once, or set a later time")
        )
    elif send_at is not None and send_at < now:
        warnings.append(Finding("send_at", f"{to_minute(send_at)} is just past: it will be sent at once"))
    if deadline is not None and deadline <= now:
        problems.append(
            Finding("deadline", f"{to_minute(deadline)} is past, so nothing would be sent; set a later one")
        )
    elif deadline is not None and send_at is not None and deadline <= send_at:
        problems.append(Finding("deadline", f"{to_minute(deadline)} is not after send_at {to_minute(send_at)}"))


def written_instant(text: str, zone: str) -> int:
    """`tz.instant` of a time in ISO 8601.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        problem = f"{text!r} is not a time; write it as 2026-11-27T09:00 or 2026-11-27T09:00Z"
        raise ValueError(problem) from error
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"{text!r}: the year {at.year} is not in {FIRST_YEAR} to {LAST_YEAR}")
    return tz.instant(at, zone)


def _unnamed(site_name: str) -> str:
    return (
        f"the text does not say who sends it: write the site name {site_name!r}, or let it be added "
        "(`longwave accounts set ACCOUNT site_name_rule=add`)"
    )


def _length_warnings(index: int, text: TextEstimate) -> list[Finding]:
    if text.over_one == 0:
        return []
    where = f"messages.{index}.text"
    share = f"{text.over_one:,} of {text.recipients:,} texts take more than one segment"
    sizes = f"{text.mean_parts:.2f} on average, {text.most_parts} at most"
    if text.in_text:
        shown = ", ".join(map(repr, text.in_text[:_SHOWN_CULPRITS]))
        explanation = (
            f"the text itself has {shown}, not in GSM-7, so that all texts (100%) have 70 characters a segment and "
            "not 160"
        )
        return [Finding(where, f"{share}: {sizes}; {explanation}")]
    warnings = [Finding(where, f"{share} of 160 characters: {sizes}")]
    if text.forced:
        warnings.append(Finding(where, _blame(text)))
    return warnings


def _blame(text: TextEstimate) -> str:
    shown = ", ".join(
        f"{culprit.character!r} in {culprit.attribute} ({culprit.recipients:,}, {_share(culprit.recipients, text)})"
        for culprit in text.in_values[:_SHOWN_CULPRITS]
    )
    return (
        f"{text.forced:,} recipients ({_share(text.forced, text)}) have 70 characters a segment and not 160, because "
        f"of their own values: {shown}; for instance {', '.join(text.samples)}"
    )


def _share(texts: int, of: TextEstimate) -> str:
    share = texts / of.recipients
    return f"{share:.1%}" if share >= _SMALLEST_SHARE else f"less than {_SMALLEST_SHARE:.1%}"
