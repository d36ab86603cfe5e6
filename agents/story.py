"""The story of a campaign in the log: one line for each command and each change of its status, with who did it."""

from __future__ import annotations

import logging

from pipeline.accounts.transitions import Transition as AccountTransition
from pipeline.campaign.transitions import Transition
from pipeline.ledger.commands import Decision
from schemas.accounts import AccountCommand, PriceCommand
from schemas.campaign import CampaignDocument, Command, CommandsRecord, Suspension
from schemas.ledger import LedgerCommand, Reserve, TopUpCommand

log = logging.getLogger(__name__)


def log_change(before: CampaignDocument | None, record: CommandsRecord, transition: Transition) -> None:
    """Write the line of what a record changed; a record that comes again changes nothing and writes no line."""
    after = transition.document
    if isinstance(record, Command):
        if transition.changed or transition.error:
            _log_command(before, record, transition)
    elif transition.changed and before is not None and after is not None and after.status != before.status:
        by = _who(record)
        why = f": {after.reason}" if after.reason else ""
        log.info(
            "campaign %s: %s → %s by %s%s", after.id, before.status, after.status, by, why,
            extra=_fields(after, by) | {"status": after.status},
        )  # fmt: skip


def _log_command(before: CampaignDocument | None, command: Command, transition: Transition) -> None:
    document = transition.document or before
    fields = {"campaign": command.campaign, "by": command.by, "action": command.action}
    if document is not None:
        fields |= _fields(document, command.by)
    if transition.error:
        log.warning(
            "campaign %s: %s by %s is refused: %s", command.campaign, command.action, command.by, transition.error,
            extra=fields,
        )  # fmt: skip
        return
    status = "deleted" if transition.delete or document is None else document.status
    came_from = "" if before is None or before.status == status else f"{before.status} → "
    log.info(
        "campaign %s: %s by %s: %s%s", command.campaign, command.action, command.by, came_from, status,
        extra=fields | {"status": status},
    )  # fmt: skip


def _who(record: CommandsRecord) -> str:
    return record.by if isinstance(record, Suspension) else "longwave"


def _fields(document: CampaignDocument, by: str) -> dict[str, str]:
    return {"campaign": document.id, "by": by, "account": document.account}


def log_ledger(command: LedgerCommand, decision: Decision) -> None:
    """Write the line of what a person or a campaign changed in the ledger; what is spent is told by figures."""
    fields = {"account": command.account}
    match command:
        case TopUpCommand() if decision.result != "repeated":
            log.info(
                "ledger: top-up of %s millionths of a credit for %s by %s: %s",
                command.amount, command.account, command.by, decision.result, extra=fields | {"by": command.by},
            )  # fmt: skip
        case Reserve() if decision.result != "repeated":
            log.info(
                "ledger: campaign %s of %s reserves %s millionths of a credit: %s",
                command.campaign, command.account, command.amount, decision.result,
                extra=fields | {"campaign": command.campaign},
            )  # fmt: skip
        case _:
            pass


def log_account_change(subject: str, command: AccountCommand | PriceCommand, transition: AccountTransition) -> None:
    """Write the line of what a command about an account or a price list changed, or why it was refused."""
    fields = {"account": "" if isinstance(command, PriceCommand) else command.account, "by": command.by}
    if transition.error:
        log.warning(
            "accounts: a change of %s by %s is refused: %s", subject, command.by, transition.error, extra=fields
        )
    elif transition.writes:
        log.info(
            "accounts: %s changed by %s", ", ".join(key for key, _ in transition.writes), command.by, extra=fields
        )
