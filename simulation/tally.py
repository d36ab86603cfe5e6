"""Keeps the sets of ordinals of one campaign for the production accounting, as ClickHouse does in production."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from pyroaring import BitMap

from pipeline.insight.accounting import figures
from schemas.figures import Figures, MessageSets, Settled, StateSet
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup
from schemas.succession import BILLED, BY_ATTEMPT, EVENTS, FINAL, SHOWN, WAITING, rank

SetKey = tuple[str, str, int, int, int]
"""(state, reason, attempt, segments, price), as `schemas/clickhouse/0003_statuses.sql` splits the sets."""


class Tally:
    """One message of a campaign. `state`, `reason`, `segments`, `price` have an entry for each ordinal: state as an
    index of SHOWN, reason of `reasons`."""

    def __init__(self, campaign: str, recipients: int) -> None:
        self.campaign = campaign
        self.recipients = recipients
        self.state = np.zeros(recipients, np.uint8)
        self.reason = np.zeros(recipients, np.uint16)
        self.reasons = [""]
        self.segments = np.zeros(recipients, np.uint8)
        self.price = np.zeros(recipients, np.int64)
        self.last_handed = 0
        """When somebody last was handed over, or was not and will not be (ms)."""
        self.newest = 0
        self._rank = np.full(recipients, -1, np.int32)
        self._sets: defaultdict[SetKey, BitMap] = defaultdict(BitMap)
        self._reason_index = {"": 0}

    def take(self, chunk: StatusChunk) -> None:
        """Record statuses."""
        self.newest = max(self.newest, chunk.at)
        for group in chunk.groups:
            self._take(group, str(group.reason), chunk.at)

    def _take(self, group: StatusGroup, reason: str, at: int) -> None:
        if group.state in EVENTS:
            self._sets[group.state, reason, 0, 0, 0].update(group.ordinals)
            return
        state, waiting = group.state, group.state in WAITING
        billed = state in BILLED
        key = (
            state,
            reason,
            group.attempt * (state in BY_ATTEMPT),
            group.segments * billed,
            group.price * billed,
        )
        ordinals = np.array(group.ordinals, np.uint32)
        self._sets[key].update(ordinals)
        height = rank(state, group.attempt)
        rising = ordinals[self._rank[ordinals] < height]
        self._rank[rising] = height
        self.state[rising] = SHOWN.index(state)
        self.reason[rising] = self._index(reason)
        if group.segments:
            self.segments[rising], self.price[rising] = group.segments, group.price
        if not waiting and state not in ("delivered", "undelivered"):
            self.last_handed = max(self.last_handed, at)

    def _index(self, reason: str) -> int:
        if reason not in self._reason_index:
            self._reason_index[reason] = len(self.reasons)
            self.reasons.append(reason)
        return self._reason_index[reason]

    def figures(self) -> Figures:
        """The figures by the production accounting."""
        return figures(self._measured())

    def _measured(self) -> MessageSets:
        """The sizes of unions that the engine measures (`adapters.clickhouse.figures`)."""
        conserved = [key for key in self._sets if key[0] not in EVENTS]
        keys = sorted(conserved, key=lambda key: (-rank(key[0], key[2]), not key[1], key[1], key[3], key[4]))
        reached = self._running(keys)
        own: dict[SetKey, int] = {}
        for state in FINAL:
            own |= self._running([key for key in sorted(self._sets) if key[0] == state])
        billed = [key for key in self._sets if key[0] in BILLED]
        own |= self._running(sorted(billed, key=lambda key: (key[0], key[3], key[4], key[1], key[2])))
        events = [key for key in self._sets if key[0] in EVENTS]
        own |= {key: len(self._sets[key]) for key in events}
        return MessageSets(
            campaign=self.campaign,
            message=0,
            recipients=self.recipients,
            audience_rows=self.recipients,
            outside=0,
            sets=[StateSet(*key, own=own.get(key, 0), reached=reached.get(key, 0)) for key in [*keys, *events]],
            settled=self._settled(),
            newest_at=self.newest,
            inserted_at=self.newest,
        )

    def _running(self, keys: Sequence[SetKey]) -> dict[SetKey, int]:
        union, sizes = BitMap(), {}
        for key in keys:
            union |= self._sets[key]
            sizes[key] = len(union)
        return sizes

    def _union(self, *states: str) -> BitMap:
        return BitMap().union(*(ordinals for key, ordinals in self._sets.items() if key[0] in states))

    def _settled(self) -> list[Settled] | None:
        moved_on = any(key[1] == Reason.NOT_SENT_BY_LOST_OWNER for key in self._sets)
        if not moved_on and not self._union("unknown") & self._union("rejected"):
            return None
        known = self._union("delivered", "undelivered") - self._union("accepted")
        kinds: defaultdict[tuple[int, int], BitMap] = defaultdict(BitMap)
        for key, ordinals in self._sets.items():
            if key[0] == "unknown":
                kinds[key[3], key[4]] |= ordinals
        return [Settled(*kind, len(ordinals & known)) for kind, ordinals in kinds.items()]
