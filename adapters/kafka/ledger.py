"""Top-ups, and what campaigns reserved and spent, as topic `ledger` has them."""

from __future__ import annotations

from collections.abc import Callable

from adapters.kafka.views import RecordView
from adapters.settings import Kafka
from schemas import topics
from schemas.ledger import LEDGER, LedgerRecord, TopUp, top_up_key


class LedgerView(RecordView[LedgerRecord]):
    """Feeds a ledger with every record, and waits for what became of a top-up."""

    def __init__(self, kafka: Kafka, take: Callable[[LedgerRecord], None]) -> None:
        super().__init__(kafka, topics.LEDGER.name, LEDGER)
        self._take_record = take

    async def top_up(self, account: str, top_up: str, timeout: float) -> TopUp:
        """What became of a top-up; the ledger has it by then.

        Raises:
            TimeoutError: nothing within `timeout` seconds.
        """
        known = await self.wait_for(top_up_key(account, top_up), lambda record: record is not None, timeout)
        assert isinstance(known, TopUp), "its key says so"
        return known

    def _keep(self, key: str, record: LedgerRecord) -> None:
        self._take_record(record)
        super()._keep(key, record)
