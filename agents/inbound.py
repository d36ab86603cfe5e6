"""Inbound texts: STOP and START change who is opted out."""

from __future__ import annotations

import logging
from typing import Any

from agents.context import Context
from agents.durable import AckedTable
from agents.runner import Emissions
from pipeline.inbound import receive
from schemas.feedback import OPTOUTS, InboundText, OptOut
from schemas.wire import encode

log = logging.getLogger(__name__)


class Inbound:
    """The step. Its table's changelog is the topic `optouts` itself, which every worker's view follows."""

    def __init__(self, context: Context, table: AckedTable) -> None:
        self._context = context
        self._table = table

    def handle(self, text: InboundText, event: Any) -> Emissions:
        key = str(text.number).encode()
        stored = self._table.get(key)
        outcome = receive(text, self._current(text.number, None if stored is None else OPTOUTS.decode(stored)))
        if outcome.optout is None:
            return Emissions(recipients=1)
        self._table[key] = encode(outcome.optout)
        return Emissions(settled=[lambda: self._table.settled([key])], recipients=1)

    def _current(self, number: int, stored: OptOut | None) -> OptOut | None:
        """What holds for a number. Imports and the API write the topic too: the view knows, the table may not."""
        out = self._context.opted_out([number])[0]
        if stored is not None and stored.out == out:
            return stored
        return OptOut(number=number, out=out, at=0 if stored is None else stored.at, source="view")
