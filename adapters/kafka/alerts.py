"""The last alerts of each account as topic `alert-deliveries` has them."""

from __future__ import annotations

from adapters.kafka.views import RecordView
from adapters.settings import Kafka
from schemas import topics
from schemas.alerts import ALERT_DELIVERIES, AlertDocument, document_key


class AlertsView(RecordView[AlertDocument]):
    """Every alert that is remembered, by account."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka, topics.ALERT_DELIVERIES.name, ALERT_DELIVERIES)
        self._of: dict[str, set[str]] = {}

    def of(self, account: str) -> list[AlertDocument]:
        """The alerts of an account, the newest first."""
        documents = [document for key in self._of.get(account, ()) if (document := self.get(key)) is not None]
        return sorted(documents, key=lambda document: (-document.alert.at, document.alert.id))

    async def delivered(self, account: str, alert: str, timeout: float) -> AlertDocument | None:
        """An alert as soon as nothing of it is being tried, or as it is after `timeout` seconds; None if no worker
        has taken it by then."""
        key = document_key(account, alert)
        try:
            return await self.wait_for(key, _is_settled, timeout)
        except TimeoutError:
            return self.get(key)

    def apply(self, key: bytes, value: bytes | None) -> None:
        super().apply(key, value)
        name = key.decode("ascii", "replace")
        account = name.partition("/")[0]
        if value is None:
            self._of.get(account, set()).discard(name)
        else:
            self._of.setdefault(account, set()).add(name)


def _is_settled(document: AlertDocument | None) -> bool:
    return document is not None and all(item.state != "waiting" for item in document.deliveries)
