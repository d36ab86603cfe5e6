"""Compiles a campaign's document, once per revision, into the plan that the steps work from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.accounts.prices import PriceList
from pipeline.campaign.terms import Terms, as_launched
from pipeline.campaign.when import LocalTime
from pipeline.content.empty_text import EmptyTextCheck, empty_text_check
from pipeline.content.outgoing import LinkBases, Renderer, compile_lane_message
from pipeline.content.render import compile_template
from pipeline.content.texts import check_texts, replaces_characters
from pipeline.limits.caps import Limit, account_limits
from pipeline.limits.carrier_day import FIELD as CARRIER
from pipeline.limits.smart_sending import HOUR, identity_of
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.tz import instant
from pipeline.timing.zones import Policy
from schemas.campaign import CampaignDocument, CampaignSpec, LaunchedSender, Status
from schemas.lane import LaneMessage, LaneSettings

__all__ = ["CampaignPlan", "MessagePlan", "PlanError", "Renderer", "Terms", "compile_lane_message", "compile_plan"]


class PlanError(ValueError):
    """A campaign that cannot be sent as it is written; the text says where, what and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePlan:
    """One message, ready to be counted and rendered."""

    lane: LaneMessage
    renderer: Renderer
    urls: tuple[str, ...]
    """Where the links lead, by their index in click tokens."""
    identity: int
    """Names the message in smart-sending reservations."""
    empty: EmptyTextCheck | None
    """Finds recipients whose text would be empty; None if no text can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """What the steps need of one revision of a campaign's document. Times and spans in ms."""

    campaign: str
    revision: int
    launch_revision: int
    status: Status
    recipients: int
    senders: tuple[LaunchedSender, ...]
    """Empty until the launch."""
    messages: tuple[MessagePlan, ...]
    fields: tuple[str, ...]
    """Attributes of contacts that any message, or a limit or price per carrier, needs."""
    due: int
    """When it is to be sent: `send_at`, but no earlier than the launch (0 for a draft that names no time). With
    `local` no earlier than the launch."""
    local: LocalTime | None
    store_zone: str
    unknown_zone: Policy
    quiet: QuietHours
    deadline: int | None
    window: int
    """Smart sending."""
    caps: tuple[Limit, ...]
    """Those of the account."""
    max_segments: int
    """A recipient whose text takes more segments is skipped."""
    unreachable_retry_days: int
    transactional: bool
    prices: PriceList
    links: LinkBases
    """Where the longest links begin."""
    resend_attempts: int
    lateness: int | None
    """Maximum lateness (ms) by downtime at which a message is still sent; None: no limit."""
    resolved: bool
    """Whether an operator has resolved unknown messages."""
    spec: CampaignSpec

    @property
    def canceled(self) -> bool:
        return self.status == "canceled"

    def lane_settings(self) -> LaneSettings:
        """The settings of the campaign that the lanes need."""
        return LaneSettings(
            messages=[message.lane for message in self.messages],
            priority=self.spec.priority,
            weight=self.spec.weight,
            deadline=self.deadline,
            unknown=self.spec.unknown,
            resend_attempts=self.resend_attempts,
            transactional=self.transactional,
            lateness=self.lateness,
            resolved=self.resolved,
        )


def compile_plan(document: CampaignDocument, terms: Terms) -> CampaignPlan:
    """The plan of a document.

    Raises:
        PlanError: a text is no template, a link leads nowhere, the text needs what does not exist yet.
        pydantic.ValidationError: the document's spec is none.
    """
    spec = document.parsed()
    terms = as_launched(terms, document)
    templates, problems = check_texts(spec, terms.wording)
    if problems:
        raise PlanError(f"{problems[0].where}: {problems[0].what}")
    messages = tuple(
        _message(document.id, index, spec, terms, template.text)
        for index, template in enumerate(templates)
        if template is not None
    )
    caps = account_limits(terms.account_number, terms.day_cap, terms.week_cap)
    local = LocalTime(spec.send_at, spec.if_passed) if spec.local_time and spec.send_at else None
    send_at = 0 if spec.send_at is None or local else instant(spec.send_at, terms.store_zone)
    return CampaignPlan(
        campaign=document.id,
        revision=document.revision,
        launch_revision=document.launch_revision,
        status=document.status,
        recipients=document.recipients,
        senders=tuple(document.senders),
        messages=messages,
        fields=_fields(messages, terms.carriers),
        due=max(send_at, document.launched),
        local=local,
        store_zone=terms.store_zone,
        unknown_zone=terms.unknown_zone,
        quiet=terms.quiet,
        deadline=None if spec.deadline is None else instant(spec.deadline, terms.store_zone),
        window=spec.smart_sending_hours * HOUR,
        caps=caps,
        max_segments=terms.max_segments,
        unreachable_retry_days=terms.unreachable_retry_days,
        transactional=spec.transactional,
        prices=terms.prices,
        links=terms.links,
        resend_attempts=terms.resend_attempts,
        lateness=terms.transactional_lateness if spec.transactional else terms.lateness,
        resolved=bool(document.resolved),
        spec=spec,
    )


def _fields(messages: Sequence[MessagePlan], carriers: bool) -> tuple[str, ...]:
    names = [name for message in messages for name in message.renderer.fields]
    return tuple(dict.fromkeys([*names, CARRIER] if carriers else names))


def _message(campaign: str, index: int, spec: CampaignSpec, terms: Terms, text: str) -> MessagePlan:
    message = spec.messages[index]
    links = sorted(message.links)
    lane = LaneMessage(text=text, links=links, replaces_characters=replaces_characters(spec, terms.wording))
    return MessagePlan(
        lane=lane,
        renderer=compile_lane_message(lane),
        urls=tuple(str(message.links[name]) for name in links),
        identity=identity_of(campaign, index, terms.account_number),
        empty=empty_text_check(compile_template(message.text), terms.wording.site_name, spec.opt_out_language),
    )
