"""Changes of an account and its senders, as one pure function over what is stored.

A command holds all its changes or none. Each change names the revision that its author saw: if there is another one,
somebody else was first, and the command is refused. A repeated command changes nothing and gives its effects again.
What takes away a sender, or a lane of it, that campaigns wait on is refused with their ids, or holds them where the
command says `suspend`; they go on when the sender is back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from msgspec.structs import replace as changed
from pydantic import ValidationError

from pipeline.accounts.checks import mail_problem, problem_of
from pipeline.accounts.domains import domain_terms, follow_account
from pipeline.accounts.holding import Holding, WaitingCampaign, World
from pipeline.accounts.lane_terms import is_active, lane_terms, shares_of
from pipeline.accounts.placing import lanes_of
from pipeline.accounts.transitions import Effect, Hold, Transition, WriteTerms, answer_to, stale, wrong_fields
from schemas.accounts import (
    MOST_ACCOUNTS,
    AccountCommand,
    AccountDocument,
    AccountSpec,
    AccountsRecord,
    Change,
    SenderDocument,
    SenderSpec,
    filled,
    key_of,
    sender_key,
)
from schemas.campaign import Suspension
from schemas.domains import DomainsDocument
from schemas.reasons import Reason, written

NAMED = 5
"""Campaigns that a refusal names."""


def apply(held: Holding, command: AccountCommand, world: World) -> Transition:
    """Apply a command; a mistake of its author is refused, not raised. Everything is judged as of `command.at`."""
    answer = answer_to(held.answers, command.id)
    if answer is not None and answer.verdict != "done":
        return Transition(answer.verdict, answer.error)
    if held.account is not None and (answer is not None or held.account.command == command.id):
        return _repeated(held, held.account, command, world)
    for change in command.changes:
        if refusal := _refused_change(held, command.account, change):
            return refusal
    if not held.exists and all(change.sender for change in command.changes):
        return Transition("absent", f"there is no account {command.account}; make it first (`longwave accounts set`)")
    if held.account is None and not world.number:
        return Transition("wrong", f"there are {MOST_ACCOUNTS:,} accounts, with those that were removed: no more fit")
    revision = max(_generation(held) + 1, command.at)
    try:
        after = _after(held, command, revision, world.number)
    except ValidationError as error:
        return Transition("wrong", wrong_fields(error.title, error))
    if after == held:
        return Transition("unchanged")
    return _judged(_Step(held, _finished(held, after, command, revision, world.lanes), command, revision, world))


def _repeated(held: Holding, account: AccountDocument, command: AccountCommand, world: World) -> Transition:
    """The effects again, as of what is stored by now: whoever died may have written none of them. Lanes and campaigns
    pass over what they know."""
    now = _Step(held, held, command, account.generation, world)
    missing = [campaign for campaign in world.waiting if not _is_carried(held, campaign, world)]
    terms = _terms(account, held.senders.values(), world, command.at)
    terms += _domain_terms(account, held.domains, command.at)
    return Transition("done", effects=(*terms, *_held(now, missing), *_released(now, missing)))


@dataclass(frozen=True, slots=True)
class _Step:
    """A change from what is stored to what would be."""

    before: Holding
    after: Holding
    command: AccountCommand
    revision: int
    world: World

    @property
    def name(self) -> str:
        return self.command.account


def _judged(step: _Step) -> Transition:
    account, senders = step.after.account, step.after.senders
    assert account is not None, "a command that leaves nothing is refused before"
    if not account.removed:
        living = {name: sender for name, sender in senders.items() if not sender.removed}
        spec, known = account.parsed(), step.before.account
        problem = problem_of(step.name, spec, living, step.world, step.command.at)
        if problem := problem or mail_problem(known.parsed() if known is not None else None, spec, step.world):
            return Transition("wrong", problem)
    stranded = _stranded(step)
    if stranded and not step.command.suspend:
        return Transition("in_use", _in_use(step, stranded))
    changed_senders = [sender for name, sender in sorted(senders.items()) if sender != step.before.senders.get(name)]
    with_terms = [*senders.values()] if account.turned == step.revision else changed_senders
    # The senders first: who reads the account's document knows all that it is about.
    domains = step.after.domains
    records: list[AccountsRecord] = [*changed_senders, *([] if domains is None else [domains]), account]
    effects = (
        *_terms(account, with_terms, step.world, step.command.at),
        *_domain_terms(account, domains, step.command.at),
        *_held(step, stranded),
        *_released(step, stranded),
    )
    return Transition("done", writes=tuple((key_of(record), record) for record in records), effects=effects)


def _generation(held: Holding) -> int:
    return 0 if held.account is None else held.account.generation


def _refused_change(held: Holding, account: str, change: Change) -> Transition | None:
    stored = held.senders.get(change.sender) if change.sender else held.account
    what = f"sender {sender_key(account, change.sender)}" if change.sender else f"account {account}"
    if change.spec is None and (stored is None or stored.removed):
        return Transition("absent", f"there is no {what}")
    return None if change.expected == (0 if stored is None else stored.revision) else stale(what, stored)


def _after(held: Holding, command: AccountCommand, revision: int, number: int) -> Holding:
    """What would be stored, but for what follows from it.

    Raises:
        ValidationError: a spec is none.
    """
    account, senders = held.account, dict(held.senders)
    for change in command.changes:
        if not change.sender:
            account = _account(account, change, command, revision, number)
        else:
            senders[change.sender] = _sender(senders.get(change.sender), change, command, revision)
    if account is not None and account.removed:
        senders = {name: _removed(sender, command, revision) for name, sender in senders.items()}
    return Holding(account, senders, held.answers, held.domains)


def _account(
    known: AccountDocument | None, change: Change, command: AccountCommand, revision: int, number: int
) -> AccountDocument:
    if change.spec is None:
        assert known is not None, "refused before"
        return changed(known, revision=revision, updated=command.at, by=command.by, removed=command.at)
    form = AccountSpec.model_validate(change.spec).model_dump(mode="json")
    if known is not None and not known.removed and known.spec == form:
        return known
    turns = known is not None and is_active(known) != form["active"]
    return AccountDocument(
        account=command.account,
        number=number if known is None else known.number,
        spec=form,
        revision=revision,
        generation=revision,
        turned=revision if turns else 0 if known is None else known.turned,
        created=command.at if known is None or known.removed else known.created,
        updated=command.at,
        by=command.by,
        command=command.id,
    )


def _sender(known: SenderDocument | None, change: Change, command: AccountCommand, revision: int) -> SenderDocument:
    if change.spec is None:
        assert known is not None, "refused before"
        return _removed(known, command, revision)
    spec = filled(SenderSpec.model_validate(change.spec))
    assert spec.kind is not None, "filled in"
    fresh = SenderDocument(
        account=command.account,
        sender=change.sender,
        number=spec.number,
        sender_kind=spec.kind,
        country=spec.country or "",
        aggregator=spec.aggregator,
        segments_per_second=spec.segments_per_second,
        brand=spec.brand or "",
        lanes=list(spec.lanes),
        former=[] if known is None else list(known.former),
        revision=revision,
        created=command.at if known is None or known.removed else known.created,
        updated=command.at,
        by=command.by,
        command=command.id,
    )
    if known is None:
        return fresh
    same = changed(fresh, revision=known.revision, updated=known.updated, by=known.by, command=known.command)
    return known if same == known else fresh


def _removed(sender: SenderDocument, command: AccountCommand, revision: int) -> SenderDocument:
    if sender.removed:
        return sender
    return changed(
        sender, revision=revision, updated=command.at, by=command.by, command=command.id, removed=command.at
    )


def _finished(held: Holding, after: Holding, command: AccountCommand, revision: int, lanes: int) -> Holding:
    """With what follows: the lanes that carried a sender before, the account's shares of its lanes, and those of its
    domains."""
    assert after.account is not None, "there is an account, or the command makes it"
    senders = {name: _moved(held.senders.get(name), sender, lanes) for name, sender in after.senders.items()}
    shares = [] if after.account.removed else shares_of(senders.values(), lanes)
    account = changed(after.account, generation=revision, command=command.id, shares=shares)
    return Holding(account, senders, held.answers, follow_account(held.domains, account, revision))


def _moved(known: SenderDocument | None, sender: SenderDocument, lanes: int) -> SenderDocument:
    if known is None or known is sender:
        return sender
    before = {*known.former, *lanes_of(known, lanes)}
    return changed(sender, former=sorted(before - set(lanes_of(sender, lanes))))


def _terms(account: AccountDocument, senders: Iterable[SenderDocument], world: World, at: int) -> list[Effect]:
    return [WriteTerms(*term) for term in lane_terms(account, senders, world.lanes, at)]


def _domain_terms(account: AccountDocument, domains: DomainsDocument | None, at: int) -> list[Effect]:
    return [] if domains is None else [WriteTerms(*term) for term in domain_terms(domains, account, at)]


def _stranded(step: _Step) -> list[WaitingCampaign]:
    """The campaigns that wait on what is taken away."""
    return [
        campaign
        for campaign in step.world.waiting
        if _is_carried(step.before, campaign, step.world) and not _is_carried(step.after, campaign, step.world)
    ]


def _is_carried(held: Holding, campaign: WaitingCampaign, world: World) -> bool:
    """Whether the campaign's sender submits in all of its lanes."""
    sender = held.senders.get(campaign.sender)
    if sender is None or sender.removed or not is_active(held.account):
        return False
    return set(campaign.lanes) <= set(lanes_of(sender, world.lanes))


def _in_use(step: _Step, stranded: Collection[WaitingCampaign]) -> str:
    ids = sorted({campaign.campaign for campaign in stranded})
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return (
        f"{len(ids)} campaign{'s' if len(ids) > 1 else ''} of {step.name} still to be sent would have no sender: "
        f"{', '.join(ids[:NAMED])}{more}. Cancel them or let them finish, or suspend them until it is back (suspend)"
    )


def _held(step: _Step, stranded: Iterable[WaitingCampaign]) -> list[Effect]:
    return [Hold(_suspension(step, campaign, *_cause(step, campaign))) for campaign in stranded]


def _released(step: _Step, stranded: Collection[WaitingCampaign]) -> list[Effect]:
    """The campaigns that this account or a sender of it held. Where only the account is back, the sender that is
    still missing takes its place."""
    if not is_active(step.after.account):
        return []
    effects: list[Effect] = []
    for campaign in step.world.waiting:
        missing = not _is_carried(step.after, campaign, step.world)
        by_account, by_sender = _account_holder(step.name), _sender_holder(step.name, campaign.sender)
        if missing and by_account in campaign.holders and campaign not in stranded:
            effects.append(Hold(_suspension(step, campaign, *_cause(step, campaign))))
        over = {by_account} if missing else {by_account, by_sender}
        effects += [Hold(_suspension(step, campaign, by, "")) for by in sorted(over & set(campaign.holders))]
    return effects


def _cause(step: _Step, campaign: WaitingCampaign) -> tuple[str, str]:
    """(holder, reason) of a campaign that nothing carries anymore."""
    if not is_active(step.after.account):
        return _account_holder(step.name), written(Reason.ACCOUNT_INACTIVE, step.name)
    sender = sender_key(step.name, campaign.sender)
    return _sender_holder(step.name, campaign.sender), written(Reason.SENDER_REMOVED, sender)


def _suspension(step: _Step, campaign: WaitingCampaign, by: str, reason: str) -> Suspension:
    return Suspension(campaign=campaign.campaign, suspended=bool(reason), reason=reason, at=step.revision, by=by)


def _account_holder(account: str) -> str:
    return f"account {account}"


def _sender_holder(account: str, sender: str) -> str:
    return f"sender {sender_key(account, sender)}"
