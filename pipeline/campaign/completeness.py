"""What a draft still lacks, and the complete campaign that it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.accounts.book import Accounts
from schemas.campaign import LOCAL_SEND_AT, CampaignSpec, DraftSpec


@dataclass(frozen=True, slots=True)
class Missing:
    """`where` in the draft (`messages.0.text`), `what` is missing there, and the `fix`: what to write or do."""

    where: str
    what: str
    fix: str


def complete(draft: DraftSpec) -> CampaignSpec | tuple[Missing, ...]:
    """The campaign that a draft is, or everything that it lacks to be one (never empty)."""
    missing = tuple(missing_parts(draft))
    return missing or CampaignSpec.model_validate(draft.model_dump())


def missing_parts(draft: DraftSpec) -> Iterator[Missing]:
    """What a draft itself lacks, in the order of its fields: all of this stands between it and a `CampaignSpec`."""
    if not draft.audience.lists and not draft.audience.numbers:
        yield Missing("audience", "has no recipients", "set lists = [...] or numbers = [...]")
    if not draft.messages:
        yield Missing("messages", "there is none", "write one with its text ([[messages]] in a file)")
    for index, message in enumerate(draft.messages):
        if not message.text:
            yield Missing(f"messages.{index}.text", "is empty", "write what recipients get")
    if draft.local_time and draft.send_at is None:
        yield Missing("send_at", "has no time, and local_time = true needs one", f"set {LOCAL_SEND_AT}")


def missing_senders(accounts: Accounts, draft: DraftSpec) -> Iterator[Missing]:
    """The account and the senders that a draft names and that there are not (yet)."""
    if accounts.account(draft.account) is None:
        # Names no others: whoever reads this may see only accounts of their own.
        fix = f"make it (`longwave accounts set {draft.account}`) or name another (`longwave accounts list`)"
        yield Missing("account", f"there is no account {draft.account!r}", fix)
        return
    for index, sender in enumerate(draft.senders):
        if accounts.sender(draft.account, sender) is None:
            yield Missing(
                "sender" if not index else f"pool.{index - 1}",
                f"account {draft.account!r} has no sender {sender!r}",
                f"make it (`longwave senders set {draft.account}/{sender}`) or name another "
                f"(`longwave senders list {draft.account}`)",
            )


def in_one_line(missing: Iterable[Missing]) -> str:
    """All that is missing, as a refusal says it."""
    return "; ".join(f"{part.where}: {part.what}: {part.fix}" for part in missing)
