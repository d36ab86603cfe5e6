"""The domains of an account's links: which there are, how their limits are divided over the lanes, and what is left.

A lane counts by itself what it uses, so a domain's limit is divided over the lanes of the account. The parts of all
lanes never exceed the limit: what one lane is not to use anymore goes to another only once the lane has said that it
goes by its smaller part. Where the account has one lane, which is usual, it has the whole limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgspec.structs import replace as changed

from pipeline.content.outgoing import LinkBases, on_domain
from schemas.accounts import AccountDocument, AccountSpec
from schemas.alerts import Alert, alert_id
from schemas.domains import KINDS, Allotment, DomainKind, DomainsDocument, DomainUse, LaneUse
from schemas.lane import DomainLimit, DomainTerms
from schemas.reasons import Reason, written

NEARLY: Final = 0.9
"""Fraction of what the domains of a kind may carry together from which on they are nearly used up."""

IN_WORDS: Final[dict[DomainKind, str]] = {"short": "short links", "opt-out": "opt-out links"}


def domain_reason(reason: Reason, kind: DomainKind, account: str) -> str:
    """A reason about the domains of a kind, as it is written."""
    return written(reason, f"{IN_WORDS[kind]} of {account}")


def names_of(spec: AccountSpec, kind: DomainKind) -> list[str]:
    """The domains of a kind that new messages may carry."""
    return [name for name, domain in spec.domains.items() if domain.kind == kind and domain.active]


def required_kinds(spec: AccountSpec) -> list[DomainKind]:
    """The kinds whose links may only be on the account's own domains: it lists some, or wants it so."""
    listed = {domain.kind for domain in spec.domains.values()}
    return [kind for kind in KINDS if spec.own_domains or kind in listed]


def link_bases(spec: AccountSpec, url: str) -> LinkBases:
    """Where the longest links of an account begin; `url` is the installation's public address."""
    short, opt_out = (
        max((on_domain(url, name) for name in names_of(spec, kind)), key=len, default=url) for kind in KINDS
    )
    return LinkBases(short, opt_out)


@dataclass(frozen=True, slots=True)
class Pool:
    """What is left of an account's active domains of a kind, in messages. `limit` None: no limit."""

    kind: DomainKind
    limit: int | None
    used: int

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def is_nearly_used(self) -> bool:
        """Whether it is worth telling people."""
        return self.limit is not None and self.limit > 0 and self.used >= NEARLY * self.limit


def pool_of(spec: AccountSpec, document: DomainsDocument | None, kind: DomainKind) -> Pool | None:
    """The pool of a kind that an account must use; None where the installation's address serves."""
    if kind not in required_kinds(spec):
        return None
    used = {} if document is None else document.used()
    names = names_of(spec, kind)
    limits = [spec.domains[name].messages for name in names]
    known = [limit for limit in limits if limit is not None]
    # A domain beyond a limit that was lowered takes nothing from the others.
    spent = sum(
        min(used.get(name, 0), limit) if limit is not None else 0 for name, limit in zip(names, limits, strict=True)
    )
    return Pool(kind, sum(known) if len(known) == len(limits) else None, spent)


def pools_of(spec: AccountSpec, document: DomainsDocument | None) -> list[Pool]:
    """The pools that an account must use, each as `pool_of`."""
    return [pool for kind in KINDS if (pool := pool_of(spec, document, kind)) is not None]


def follow_account(known: DomainsDocument | None, account: AccountDocument, revision: int) -> DomainsDocument | None:
    """What is stored of an account's domains after a change of the account, whose `revision` it is; None where it
    never had domains."""
    spec = account.parsed()
    wants = bool(spec.domains or spec.own_domains) and not account.removed
    if known is None and not wants:
        return None
    before = known or DomainsDocument(
        account=account.account, revision=revision, lanes=[], allotments=[], uses=[], crossings={}
    )
    after = _divided(before, spec, account)
    # Also where the document is the same: names, kinds and what is active are not in it, and the lanes must hear.
    return changed(after, revision=max(revision, before.revision + 1))


@dataclass(frozen=True, slots=True)
class Reported:
    """What follows from a lane's report: the document (the same where it says nothing new), and the kinds that have
    become nearly used up with the numbers of these crossings."""

    document: DomainsDocument
    crossed: Mapping[DomainKind, int]


def take_report(known: DomainsDocument, account: AccountDocument, report: DomainUse) -> Reported:
    """What is stored after a lane has told what it has used. A report that comes again changes nothing and names its
    crossings again."""
    spec, use = account.parsed(), report.use
    before = next((item for item in known.uses if item.lane == use.lane), None)
    if before is not None and use.as_of < before.as_of:
        return Reported(known, {})
    uses = sorted([use, *(item for item in known.uses if item.lane != use.lane)], key=lambda item: item.lane)
    document = _settled(changed(known, uses=uses), use)
    divided = _divided(document, spec, account)
    if divided != document:
        document = changed(divided, revision=known.revision + 1)
    crossings, crossed = _crossings(document, spec, is_again=before == use)
    return Reported(changed(document, crossings=crossings), crossed)


def nearly_used_alerts(reported: Reported, account: AccountDocument, at: int) -> list[Alert]:
    """What the account's people should know, once for each crossing; `at` in ms."""
    alerts = []
    for kind, number in reported.crossed.items():
        pool = pool_of(account.parsed(), reported.document, kind)
        if pool is None or pool.limit is None or pool.left is None:
            continue
        text = (
            f"The domains for {IN_WORDS[kind]} of {account.account} are nearly used up: {pool.left:,} of "
            f"{pool.limit:,} messages are left. When none is left, campaigns with such links wait; no recipient is "
            f"lost. Add a domain or raise a limit: longwave domains add {account.account} DOMAIN"
        )
        alerts.append(
            Alert(
                id=alert_id("domains_nearly_used", account.account, kind, number),
                account=account.account,
                about="domains_nearly_used",
                subject=kind,
                at=at,
                text=text,
            )
        )
    return alerts


def _crossings(
    document: DomainsDocument, spec: AccountSpec, *, is_again: bool
) -> tuple[dict[str, int], dict[DomainKind, int]]:
    """Odd while a kind is nearly used up: it grows with each crossing up and down."""
    crossings, crossed = dict(document.crossings), {}
    for kind in KINDS:
        pool = pool_of(spec, document, kind)
        is_near = pool is not None and pool.is_nearly_used
        number = crossings.get(kind, 0)
        if is_near != bool(number % 2):
            crossings[kind] = number = number + 1
            if is_near:
                crossed[kind] = number
        elif is_near and is_again:
            crossed[kind] = number
    return crossings, crossed


def domain_terms(document: DomainsDocument, account: AccountDocument, at: int) -> list[tuple[int, DomainTerms]]:
    """(lane, record) for each lane that has, or had, domains of the account; `at` in ms."""
    spec = account.parsed()
    allowed = {(item.domain, item.lane): item.allowed for item in document.allotments}
    active = [] if account.removed else [(name, domain) for name, domain in spec.domains.items() if domain.active]
    return [
        (
            lane,
            DomainTerms(
                account=account.account,
                revision=document.revision,
                domains=[
                    DomainLimit(
                        name=name,
                        use=domain.kind,
                        messages=None if domain.messages is None else allowed.get((name, lane), 0),
                    )
                    for name, domain in active
                ],
                required=required_kinds(spec),
                at=at,
            ),
        )
        for lane in document.lanes
    ]


def behind(document: DomainsDocument) -> set[int]:
    """Lanes that have not said yet that they go by the newest limits."""
    heard = {use.lane for use in document.uses if use.revision >= document.revision}
    return set(document.lanes) - heard


def _settled(document: DomainsDocument, use: LaneUse) -> DomainsDocument:
    """A lane that goes by the newest limits cannot use more than they allow, or than it has used."""
    if use.revision < document.revision:
        return document
    allotments = [
        changed(item, ceiling=max(item.allowed, use.used.get(item.domain, 0))) if item.lane == use.lane else item
        for item in document.allotments
    ]
    return changed(document, allotments=allotments)


def _divided(document: DomainsDocument, spec: AccountSpec, account: AccountDocument) -> DomainsDocument:
    """The document with each limit divided over the account's lanes as of now."""
    rates: dict[int, int] = {}
    for lane, _, rate in account.shares:
        rates[lane] = rates.get(lane, 0) + rate
    lanes = sorted({*document.lanes, *rates})
    allotments: list[Allotment] = []
    for name in sorted({*spec.domains, *(item.domain for item in document.allotments)}):
        domain = spec.domains.get(name)
        limit = None if domain is None else domain.messages
        if domain is not None and limit is None:
            continue
        parts = {item.lane: item for item in document.allotments if item.domain == name}
        uses = {use.lane: _Part.of(use, name, domain.kind if domain else None) for use in document.uses}
        lane_parts = [_part(lane, parts.get(lane), uses.get(lane), rates.get(lane, 0)) for lane in lanes]
        divided = _divide(limit or 0, lane_parts)
        allotments += [
            Allotment(domain=name, lane=part.lane, allowed=part.allowed, ceiling=part.ceiling) for part in divided
        ]
    return changed(document, lanes=lanes, allotments=allotments)


@dataclass(frozen=True, slots=True)
class _Part:
    """A lane and a domain: what it may use, what it can have used at most by limits that it was told, what it has
    used as far as it has told, what the account's senders may submit there, and whether recipients wait there for
    such a domain."""

    lane: int
    allowed: int = 0
    ceiling: int = 0
    used: int = 0
    rate: int = 0
    is_starved: bool = False

    @classmethod
    def of(cls, use: LaneUse, domain: str, kind: DomainKind | None) -> _Part:
        return cls(use.lane, used=use.used.get(domain, 0), is_starved=kind in use.starved)


def _part(lane: int, allotment: Allotment | None, use: _Part | None, rate: int) -> _Part:
    part = use or _Part(lane)
    allowed, ceiling = (0, 0) if allotment is None else (allotment.allowed, allotment.ceiling)
    return replace(part, allowed=allowed, ceiling=max(ceiling, part.used), rate=rate)


def _divide(limit: int, parts: Sequence[_Part]) -> list[_Part]:
    """The parts of a limit, so that their ceilings stay within it: what is free is given out, and where nothing is,
    lanes that do not need all of theirs are told to leave some to those that starve."""
    free = limit - sum(part.ceiling for part in parts)
    if free > 0:
        return _given_out(free, parts)
    if free < 0:
        # The limit was lowered. Of several lanes each stops first; what is left is given out once all have said so.
        is_alone = sum(part.ceiling > 0 for part in parts) == 1
        return [replace(part, allowed=min(part.allowed, limit)) if is_alone else _leaving_all(part) for part in parts]
    if any(part.ceiling > max(part.allowed, part.used) for part in parts):
        return list(parts)
    if any(part.is_starved and part.rate for part in parts):
        return [_leaving(part) for part in parts]
    return [part if part.rate else _leaving_all(part) for part in parts]


def _given_out(free: int, parts: Sequence[_Part]) -> list[_Part]:
    """The free messages go to the lanes where recipients wait for them, else to all by what they may submit."""
    for takes in (
        [part.rate if part.is_starved else 0 for part in parts],
        [part.rate for part in parts],
    ):
        if any(takes):
            shares = _shares(free, takes)
            return [_more(part, share) for part, share in zip(parts, shares, strict=True)]
    return list(parts)


def _more(part: _Part, share: int) -> _Part:
    if not share:
        return part
    # Its ceiling is at least what it is allowed: from there on it grows by what was free.
    ceiling = part.ceiling + share
    return replace(part, allowed=ceiling, ceiling=ceiling)


def _leaving(part: _Part) -> _Part:
    """A lane that does not starve leaves half of what it has not used; one that submits nothing anymore, all."""
    slack = part.allowed - part.used
    if part.is_starved or slack <= 0:
        return part
    return replace(part, allowed=part.allowed - (slack + 1) // 2) if part.rate else _leaving_all(part)


def _leaving_all(part: _Part) -> _Part:
    return replace(part, allowed=min(part.allowed, part.used))


def _shares(whole: int, weights: Iterable[int]) -> list[int]:
    """`whole` in whole parts in the proportion of the weights."""
    weights = list(weights)
    total, begin, upto, shares = sum(weights), 0, 0, []
    for weight in weights:
        upto += weight
        end = whole * upto // total
        shares.append(end - begin)
        begin = end
    return shares
