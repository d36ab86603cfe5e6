"""The review before a launch: what forbids it, what the operator should know, and what it will be about.

Pure: the facts about contacts and settings are arguments, `now` too. The API gathers them, shows the review and
refuses a launch over its problems; the figures are estimates (counted over a sample), the problems are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pipeline import tz
from pipeline.render import Template, compile_template, with_opt_out_language, with_site_name
from pipeline.review_texts import TextEstimate, estimate
from pipeline.template import TemplateError
from schemas.campaign import CampaignSpec

PAST_GRACE_MS: Final = 3_600_000
"""A send time up to an hour ago means "now": somebody took a while to press Launch."""
SHOWN_NUMBERS: Final = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` in the spec (`messages.0.text`) and `what` is wrong or worth knowing, with what to do."""

    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the settings say of the campaign's account and sender."""

    site_name: str
    store_zone: str
    prices: Mapping[str, int]
    """Millionths of a credit per segment by ISO country."""
    price_default: int
    segments_per_second: float
    link: str
    """A short link as long as the real ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceFacts:
    """What ClickHouse says of the audience."""

    unknown_lists: Sequence[str] = ()
    refused_numbers: Sequence[tuple[str, str]] = ()
    """Typed numbers that cannot be sent to, each with its reason."""
    recipients: int
    countries: Mapping[str, int] = field(default_factory=dict)
    """ISO country ("" = not known) -> recipients."""
    with_value: Mapping[str, int] = field(default_factory=dict)
    """Attribute -> recipients that have a value of it."""
    sample: Sequence[Mapping[str, str]] = ()
    """Attributes of some recipients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """`problems` forbid a launch, `warnings` do not. Cost in millionths of a credit, None where nothing is known."""

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    recipients: int
    texts: tuple[TextEstimate, ...]
    segments: int
    cost: int
    seconds: float
    """Shortest time that the sender's limit allows."""


def effective_text(text: str, site_name: str, opt_out_language: str) -> str:
    """The template as it goes out: the site's name in front, opt-out language at the end.

    Raises TemplateError.
    """
    return with_opt_out_language(with_site_name(text, site_name), opt_out_language)


def review(
    spec: CampaignSpec, account: AccountFacts | None, unconfigured: str, audience: AudienceFacts, now: int
) -> Review:
    """Check a campaign against the facts. `unconfigured` says why `account` is None ("" where it is not)."""
    problems: list[Finding] = []
    warnings: list[Finding] = []
    if account is None:
        problems.append(Finding("sender", unconfigured))
    templates = _templates(spec, account, problems)
    problems += _audience_problems(spec, audience)
    for index, template in enumerate(templates):
        if template is not None:
            _check_fields(index, template, audience, problems, warnings)
    warnings += _number_warnings(audience)
    _check_times(spec, account.store_zone if account else "UTC", now, problems, warnings)
    texts = tuple(estimate(t, audience.sample, account.link if account else "") for t in templates if t is not None)
    for index, text in enumerate(texts):
        warnings += _length_warnings(index, text)
    segments = round(sum(text.mean_parts for text in texts) * audience.recipients)
    return Review(
        problems=tuple(problems),
        warnings=tuple(warnings),
        recipients=audience.recipients,
        texts=texts,
        segments=segments,
        cost=_cost(texts, account, audience),
        seconds=segments / account.segments_per_second if account else 0.0,
    )


def _templates(spec: CampaignSpec, account: AccountFacts | None, problems: list[Finding]) -> list[Template | None]:
    return [_template(index, spec, account, problems) for index in range(len(spec.messages))]


def _template(
    index: int, spec: CampaignSpec, account: AccountFacts | None, problems: list[Finding]
) -> Template | None:
    message = spec.messages[index]
    where = f"messages.{index}.text"
    try:
        compile_template(message.text)
    except TemplateError as error:
        problems.append(Finding(where, str(error)))
        return None
    try:
        template = compile_template(
            effective_text(message.text, account.site_name if account else "", spec.opt_out_language)
        )
    except TemplateError as error:
        problems.append(Finding("opt_out_language", str(error)))
        return None
    for link in template.links:
        if link not in message.links:
            shown = "{link}" if link == "default" else f"{{link:{link}}}"
            remedy = f'add links = {{{link} = "https://…"}} to the message'
            problems.append(Finding(where, f"{shown} leads nowhere; {remedy}"))
    return template


def _audience_problems(spec: CampaignSpec, audience: AudienceFacts) -> list[Finding]:
    found = [
        Finding("audience.lists", f"no list {name!r}; import contacts into it or correct its name")
        for name in audience.unknown_lists
    ]
    if not audience.recipients and not found:
        names = ", ".join(spec.audience.lists) or "the typed numbers"
        found.append(Finding("audience", f"nobody to send to: {names} hold no valid number; import contacts first"))
    return found


def _number_warnings(audience: AudienceFacts) -> list[Finding]:
    refused = audience.refused_numbers
    shown = ", ".join(f"{text!r} ({reason})" for text, reason in refused[:SHOWN_NUMBERS])
    more = f" and {len(refused) - SHOWN_NUMBERS:,} more" if len(refused) > SHOWN_NUMBERS else ""
    return [Finding("audience.numbers", f"{len(refused):,} left out: {shown}{more}")] if refused else []


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
            problems.append(Finding(where, f"no contact of the audience has a value of {{{name}}}; {remedy}"))
        elif not having:
            warnings.append(Finding(where, f"no contact has {{{name}}}: everybody gets its default"))
        elif strict:
            warnings.append(Finding(where, f"{missing:,} recipients have no {{{name}}} and get a gap; {remedy}"))


def _check_times(spec: CampaignSpec, zone: str, now: int, problems: list[Finding], warnings: list[Finding]) -> None:
    send_at = None if spec.send_at is None else instant(spec.send_at, zone)
    deadline = None if spec.deadline is None else instant(spec.deadline, zone)
    if send_at is not None and send_at < now - PAST_GRACE_MS:
        problems.append(
            Finding("send_at", f"{_shown(send_at)} is past; remove it to send at once, or set a later time")
        )
    elif send_at is not None and send_at < now:
        warnings.append(Finding("send_at", f"{_shown(send_at)} is just past: it will be sent at once"))
    if deadline is not None and deadline <= now:
        problems.append(Finding("deadline", f"{_shown(deadline)} is past: nothing would be sent; set a later one"))
    elif deadline is not None and send_at is not None and deadline <= send_at:
        problems.append(Finding("deadline", f"{_shown(deadline)} is not after send_at {_shown(send_at)}"))


def instant(local: datetime, zone: str) -> int:
    """Milliseconds UTC of a time; one without an offset is local to `zone`. In the hour that a change of clocks
    repeats it is the first, in the hour that it skips it is that much after the change."""
    aware = local if local.tzinfo is not None else local.replace(tzinfo=tz.zone(zone))
    return round(aware.timestamp() * 1000)


def written_instant(text: str, zone: str) -> int:
    """`instant` of a time in ISO 8601.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    try:
        return instant(datetime.fromisoformat(text), zone)
    except ValueError as error:
        why = f"{text!r} is not a time; write it as 2026-11-27T09:00 or 2026-11-27T09:00Z"
        raise ValueError(why) from error


def _shown(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _length_warnings(index: int, text: TextEstimate) -> list[Finding]:
    if text.over_one == 0:
        return []
    one = 160 if text.encoding == "gsm7" else 70
    why = "" if text.encoding == "gsm7" else f" ({text.culprit!r} is not in GSM-7)" if text.culprit else ""
    return [
        Finding(
            f"messages.{index}.text",
            f"{text.over_one:.0%} of the texts take more than one segment of {one} characters{why}: "
            f"{text.mean_parts:.2f} on average, {text.most_parts} at most",
        )
    ]


def _cost(texts: Sequence[TextEstimate], account: AccountFacts | None, audience: AudienceFacts) -> int:
    if account is None:
        return 0
    counted = sum(audience.countries.values())
    priced = sum(n * account.prices.get(country, account.price_default) for country, n in audience.countries.items())
    rest = max(0, audience.recipients - counted) * account.price_default
    return round((priced + rest) * sum(text.mean_parts for text in texts))
