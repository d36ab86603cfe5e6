"""Changes of accounts, senders and price lists: a command, its answer, and how both look over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from fastapi import Request
from fastapi.responses import JSONResponse

from adapters.clock import now_ms
from api.services import Services
from api.web.audit import note_change
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.etag import seen_revision
from api.web.numbers import masked
from api.web.pending import ANSWER_SECONDS, pending
from pipeline.accounts.diff import AnyCommand, outcome_of
from pipeline.accounts.holding import waiting_of
from schemas import topics
from schemas.accounts import (
    AccountCommand,
    AccountDocument,
    AccountSpec,
    PriceListDocument,
    PriceListSpec,
    SenderDocument,
    SenderSpec,
    Verdict,
    prices_key,
    sender_key,
    sender_spec,
)
from schemas.json import JsonObject
from schemas.wire import encode

ATTEMPTS: Final = 3
"""How often a change without If-Match is made when others are first."""
_STATUS: Final[dict[Verdict, int]] = {"stale": 412, "absent": 404, "wrong": 422, "in_use": 409}

AnySpec = AccountSpec | SenderSpec | PriceListSpec


class NotYet(Exception):
    """The step did not answer; the command is kept and will be carried out."""

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self.command = command


def subject_of(command: AnyCommand) -> str:
    """What a command is about: its key in Kafka, and that of its answers."""
    return command.account if isinstance(command, AccountCommand) else prices_key(command.name)


async def carry_out(services: Services, command: AnyCommand) -> Verdict:
    """Have a command carried out: done or unchanged. What is refused by what is known here is not even asked for.

    Raises:
        ApiError: 404, 409, 412, 422 it was refused; 503 Kafka does not answer.
        NotYet: nobody has carried it out so far.
        EmitError: Kafka did not acknowledge it (503).
    """
    account = command.account if isinstance(command, AccountCommand) else ""
    world = services.world(waiting_of(account, services.campaigns.all()))
    known = outcome_of(command, services.accounts, world)
    if known.verdict != "done":
        return _checked(known.verdict, known.error)
    services.check_kafka()
    subject = subject_of(command)
    await services.producer.emit(topics.ACCOUNT_COMMANDS.name, encode(command), key=subject.encode())
    try:
        answer = await services.accounts_view.answer(subject, command.id, ANSWER_SECONDS)
    except TimeoutError as error:
        raise NotYet(command.id) from error
    return _checked(answer.verdict, answer.error)


def _checked(verdict: Verdict, error: str) -> Verdict:
    if verdict in _STATUS:
        raise ApiError(_STATUS[verdict], error)
    return verdict


async def persist(services: Services, request: Request, make: Callable[[int | None], AnyCommand]) -> Verdict:
    """Carry out what `make` gives for the revision that the caller saw (`If-Match`, None: whatever there is). Without
    one it is made again where somebody else was first."""
    seen = seen_revision(request)
    for attempt in range(ATTEMPTS):
        try:
            return await carry_out(services, make(seen))
        except ApiError as error:
            if error.status != 412 or seen is not None or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


MONEY: Final = ("billing", "trial_segments", "price_list")
"""Fields of an account that say what it pays, and how: only who runs the installation changes them."""


def check_money(account: str, stored: AccountDocument | None, spec: AccountSpec) -> None:
    """Refuse a change of what an account pays by a key of its own.

    Raises:
        ApiError: 403.
    """
    if not caller().key.accounts:
        return
    before = AccountSpec() if stored is None else stored.parsed()
    changed = [name for name in MONEY if getattr(before, name) != getattr(spec, name)]
    if changed:
        text = f"{', '.join(changed)} of account {account!r}: only with a key for every account. Nothing was changed"
        raise ApiError(403, text, fields=[{"field": name, "error": "not with this key"} for name in changed])


def author() -> tuple[str, str, int]:
    """(id of a command, who, when)."""
    return uuid.uuid4().hex, str(caller()), now_ms()


def form_of(spec: AnySpec) -> JsonObject:
    """A spec as the audit log has it: without what is as everywhere."""
    return without_numbers(spec.model_dump(mode="json", exclude_defaults=True))


def without_numbers(form: JsonObject) -> JsonObject:
    """The form of an account with the phone numbers of those who get its alerts masked."""
    alerts = form.get("alerts", {})
    if not alerts.get("numbers"):
        return form
    return {**form, "alerts": {**alerts, "numbers": [masked(number) for number in alerts["numbers"]]}}


def note(account: str, key: str, before: AnySpec | None, after: AnySpec | None) -> None:
    """Note a change of an account, a sender or a price list (its key in topic `accounts`) for the audit log."""
    note_change(account, *(None if spec is None else {key: form_of(spec)} for spec in (before, after)))


def not_yet(command: str, where: str) -> JSONResponse:
    """The answer while nobody has carried a command out."""
    return pending(where, command, "no worker answered", f"{where} for what became of it")


def expected(seen: int | None, stored: AccountDocument | SenderDocument | PriceListDocument | None) -> int:
    """The revision that a change expects, by the one its author saw. What was removed may be made again by who saw
    nothing."""
    revision = 0 if stored is None else stored.revision
    is_removed = stored is not None and bool(stored.removed)
    return revision if seen is None or (seen == 0 and is_removed) else seen


def spec_before(services: Services, account: str, sender: str) -> AccountSpec | SenderSpec | None:
    """What there is now of an account (`sender` "") or a sender."""
    if sender:
        stored = services.accounts.sender(account, sender)
        return None if stored is None else sender_spec(stored)
    known = services.accounts.account(account)
    return None if known is None else known.spec


def specs_before(services: Services, command: AnyCommand) -> list[AnySpec | None]:
    """What there is now of all that a command changes."""
    if isinstance(command, AccountCommand):
        return [spec_before(services, command.account, change.sender) for change in command.changes]
    return [services.accounts.price_spec(command.name)]


def note_command(command: AnyCommand, before: Sequence[AnySpec | None]) -> None:
    """Note each change of a command for the audit log."""
    if not isinstance(command, AccountCommand):
        note(
            "",
            subject_of(command),
            before[0],
            None if command.spec is None else PriceListSpec.model_validate(command.spec),
        )
        return
    for change, known in zip(command.changes, before, strict=True):
        model: type[AccountSpec | SenderSpec] = SenderSpec if change.sender else AccountSpec
        key = sender_key(command.account, change.sender) if change.sender else command.account
        note(command.account, key, known, None if change.spec is None else model.model_validate(change.spec))
