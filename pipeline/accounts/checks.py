"""What must hold of an account and its senders, beyond what their specs check by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.accounts.holding import NOBODY, World, quiet_reading, reaches_nobody
from pipeline.accounts.placing import lanes_of
from pipeline.timing.quiet_hours import quiet_of
from schemas.accounts import AccountSpec, SenderDocument
from schemas.domains import is_local


def problem_of(name: str, spec: AccountSpec, senders: Mapping[str, SenderDocument], world: World, at: int) -> str:
    """What is wrong with an account as it would be, and what to do; "" if nothing is. `at` in ms."""
    for sender in senders.values():
        if problem := _sender_problem(spec, sender, world):
            return f"sender {sender.account}/{sender.sender}: {problem}"
    return (
        _price_problem(spec, world) or _domain_problem(name, spec, world) or _quiet_problem(spec, senders, world, at)
    )


def mail_problem(known: AccountSpec | None, spec: AccountSpec, world: World) -> str:
    """What is wrong with e-mail addresses that an account would have and did not have before (`known`); "" if nothing
    is. One that it has already must not stand in the way of other changes."""
    before = () if known is None else known.alerts.emails
    if world.mails or set(spec.alerts.emails) <= set(before):
        return ""
    return (
        "alerts.emails: this installation sends no e-mail, so nobody would be told; set [smtp] in longwave.toml and "
        "start API and workers again, or take the addresses out"
    )


def _sender_problem(spec: AccountSpec, sender: SenderDocument, world: World) -> str:
    if sender.aggregator not in world.aggregators:
        known = ", ".join(sorted(world.aggregators)) or "none"
        return f"no aggregator {sender.aggregator!r} is configured; there is {known} (aggregators in longwave.toml)"
    beyond = [lane for lane in lanes_of(sender, world.lanes) if lane >= world.lanes]
    if beyond:
        return f"lane {beyond[0]} is not in 0..{world.lanes - 1} (kafka.lanes)"
    if sender.brand and sender.brand not in spec.brands:
        known = ", ".join(sorted(spec.brands)) or "none"
        return f"the account has no brand {sender.brand!r}; there is {known}"
    return ""


def _price_problem(spec: AccountSpec, world: World) -> str:
    if world.price_lists is None or spec.price_list == "default" or spec.price_list in world.price_lists:
        return ""
    return f"price_list: there is no price list {spec.price_list!r}; make it first (`longwave prices apply`)"


def _domain_problem(name: str, spec: AccountSpec, world: World) -> str:
    for domain in spec.domains:
        owner = world.domain_owners.get(domain, name)
        if owner != name:
            return (
                f"domains: {domain} is a domain of account {owner}; a domain belongs to one account, so that "
                "nobody's messages harm another's links"
            )
        if is_local(domain) and not world.is_local:
            return (
                f"domains: {domain} leads to each phone itself; take a name that leads to the ingress "
                "(ingress.public_url in longwave.toml)"
            )
    return ""


def _quiet_problem(spec: AccountSpec, senders: Mapping[str, SenderDocument], world: World, at: int) -> str:
    used = {sender.aggregator for sender in senders.values()}
    if spec.quiet_reading == NOBODY and not reaches_nobody(used, world.aggregators):
        return (
            'quiet_reading: "none" is for the simulated aggregator alone; people may be behind this account: say '
            '"cautious" or "common"'
        )
    try:
        quiet_of(quiet_reading(spec, used, world.aggregators), spec.quiet_hours, at)
    except ValueError as error:
        return f"quiet_hours: {error}"
    return ""
