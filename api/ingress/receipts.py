"""POST /v1/receipts/{aggregator}: delivery receipts, by our message id.

    {"receipts": [{"id": "1a2b3c4d-0-17", "status": "delivered", "code": "", "at": 1764000000000}, …]}

Each item is taken by itself: the answer names those that are refused, with index and reason, and they are kept as
dead letters. `code` and `at` may be absent or odd. Refused is what is no receipt of a message that this aggregator
can have got from us (`pipeline.feedback.receipts`); a receipt of a campaign that is not known here yet is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from adapters.ports import CallbackPort, Emitter, ReceiptItem
from api.ingress.clicks import Campaigns
from api.ingress.coalesce import Coalescer, all_of
from api.ingress.http import Refused
from api.ingress.rejected import RejectedItem, raw_of, write_rejected, write_unreadable
from pipeline.accounts.book import Accounts, Derived
from pipeline.alerts.sms import alert_campaign
from pipeline.feedback.receipts import STATES, Receipt, Refusal, Sent, State, misfit, read_fields, read_item
from pipeline.feedback.replies import ORDINALS, reply_campaign
from schemas import topics
from schemas.campaign import CampaignDocument
from schemas.carrier_codes import reason_of_code
from schemas.feedback import ReceiptBatch
from schemas.json import Json, JsonObject
from schemas.metrics import FAILURES, RECEIPT_DELAY, RECEIPTS, RECEIPTS_EXCLUDED
from schemas.reasons import label_of
from schemas.wire import encode

_REPLY_SERIES: Final = 4
_REPLY_MESSAGES: Final = 2


_STATE: Final = attrgetter("state")
_AT: Final = attrgetter("at")
_FAILED: Final = ("undelivered", "rejected")


class _Row(NamedTuple):
    ordinal: int
    state: State
    code: str
    at: int


@dataclass(frozen=True, slots=True)
class Taken:
    """How many items were taken, and those that were refused."""

    count: int
    refused: list[RejectedItem]

    def answer(self) -> JsonObject:
        """The body of the answer."""
        return {
            "taken": self.count,
            "refused": [{"index": item.place, "reason": item.reason} for item in self.refused],
        }


_Key = tuple[str, int]


class Receipts:
    """Takes receipts in and writes them to topic `receipts`."""

    def __init__(
        self, accounts: Accounts, emitter: Emitter, campaigns: Campaigns, callbacks: Mapping[str, CallbackPort]
    ) -> None:
        self._callbacks = callbacks
        self._accounts = accounts
        self._emitter = emitter
        self._campaigns = campaigns
        self._replies = Derived(accounts, _reply_campaigns)
        self._coalescer: Coalescer[_Key, tuple[_Row, int]] = Coalescer(self._emit)
        count_from_zero(callbacks)

    async def take(self, body: bytes, now: int, aggregator: str) -> Taken:
        """Take the receipts of a request; returns when Kafka has acknowledged them and those that are rejected.

        Raises:
            Refused: 400, it is not a list of receipts; it is kept as a dead letter.
            EmitError: not acknowledged; some may have been written, and repeating all changes nothing more.
        """
        try:
            items = self._callbacks[aggregator].receipts(body)
        except ValueError as error:
            await write_unreadable(self._emitter, topics.RECEIPTS, aggregator, body, error, now)
            raise Refused(400, f"not a list of receipts: {error}; it is kept as a dead letter") from error
        groups, refused = self._group(items, body, now, aggregator)
        _count(aggregator, groups, now)
        writes = [self._coalescer.add(key, [(row, now) for row in rows]) for key, rows in groups.items()]
        await all_of(writes)
        await write_rejected(self._emitter, topics.RECEIPTS, aggregator, refused, now)
        return Taken(sum(map(len, groups.values())), refused)

    async def close(self) -> None:
        await self._coalescer.close()

    def _group(
        self, items: list[ReceiptItem] | list[Json], body: bytes, now: int, aggregator: str
    ) -> tuple[dict[_Key, list[_Row]], list[RejectedItem]]:
        groups: dict[_Key, list[_Row]] = {}
        refused: list[RejectedItem] = []
        counts: Counter[str] = Counter()
        sent: dict[str, Sent | None] = {}
        for index, item in enumerate(items):
            receipt = _read(item, now)
            if isinstance(receipt, Receipt):
                if receipt.campaign not in sent:
                    sent[receipt.campaign] = self._sent(receipt.campaign)
                limits = sent[receipt.campaign]
                refusal = None if limits is None else misfit(receipt, limits, aggregator)
            else:
                refusal = receipt
            if refusal is not None:
                counts[refusal.cause] += 1
                refused.append(RejectedItem(index, refusal.text, raw_of(_plain(item), body), refusal.cause))
            elif isinstance(receipt, Receipt):
                groups.setdefault(receipt[:2], []).append(_Row(*receipt[2:]))
        for reason, count in counts.items():
            RECEIPTS_EXCLUDED.labels(reason).inc(count)
        return groups, refused

    def _sent(self, campaign: str) -> Sent | None:
        """What can have been sent of a campaign, None where it is not known here (yet)."""
        document = self._campaigns.get(campaign)
        if document is None:
            return self._replies().get(campaign)
        return _sent_of(document, self._accounts)

    async def _emit(self, key: _Key, items: list[tuple[_Row, int]]) -> None:
        campaign, message = key
        ordinals, states, codes, times = map(list, zip(*(row for row, _ in items), strict=True))
        record = ReceiptBatch(
            campaign=campaign,
            message=message,
            received=max(received for _, received in items),
            ordinals=ordinals,
            states=states,
            codes=codes,
            times=times,
        )
        await self._emitter.emit(topics.RECEIPTS.name, encode(record), key=campaign.encode())


def count_from_zero(aggregators: Iterable[str]) -> None:
    """Export the receipts of each aggregator before there is any: an alert must see that none comes."""
    for aggregator in aggregators:
        for state in set(STATES.values()):
            RECEIPTS.labels(aggregator, state)


def _count(aggregator: str, groups: Mapping[_Key, list[_Row]], now: int) -> None:
    """Once a request, whose receipts arrived at `now` (ms)."""
    rows = [row for rows in groups.values() for row in rows]
    if not rows:
        return
    for state, count in Counter(map(_STATE, rows)).items():
        RECEIPTS.labels(aggregator, state).inc(count)
    RECEIPT_DELAY.labels(aggregator).observe(max(0, now - min(map(_AT, rows))) / 1000)
    failed = [row.code for row in rows if row.state in _FAILED]
    for reason, count in Counter(label_of(reason_of_code(code)) for code in failed).items():
        FAILURES.labels(aggregator, "receipt", reason).inc(count)


def _sent_of(document: CampaignDocument, accounts: Accounts) -> Sent:
    messages = document.spec.get("messages", ())
    senders = accounts.senders(document.account)
    used = [senders[of.sender] for of in document.senders if of.sender in senders]
    return Sent(
        launched=bool(document.launched or document.launch_revision or document.recipients),
        messages=len(messages) if isinstance(messages, list | tuple) else 0,
        recipients=document.recipients,
        aggregators=tuple({sender.aggregator for sender in used}),
    )


def _reply_campaigns(accounts: Accounts) -> dict[str, Sent]:
    """Our replies to texts and the alerts to accounts' own people: nobody made their campaigns, and their ordinals
    have no end."""
    return {
        campaign_of(sender.account, sender.sender, series): Sent(True, messages, ORDINALS, (sender.aggregator,))
        for sender in accounts.all_senders()
        for series in range(_REPLY_SERIES)
        for campaign_of, messages in ((reply_campaign, _REPLY_MESSAGES), (alert_campaign, 1))
    }


def _read(item: ReceiptItem | Json, now: int) -> Receipt | Refusal:
    if isinstance(item, ReceiptItem):
        return read_fields(item.id, item.status, item.code, item.at, now)
    return read_item(item, now)


def _plain(item: ReceiptItem | Json) -> Json:
    if isinstance(item, ReceiptItem):
        written: Json = msgspec.to_builtins(item)
        return written
    return item
