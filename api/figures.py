"""Reads the figures of campaigns from ClickHouse once for all viewers, and keeps them while it does not answer.

Campaigns that are sending or being watched are read each second, the others now and then. They are measured again
only where anything was recorded since. Ended campaigns that nobody opened are read from the view, all at once. A
snapshot that could not be renewed stays and gets older; the page and the JSON show its age.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from adapters.clickhouse import Store
from adapters.clickhouse.figures import versions
from adapters.clickhouse.measured import SURE_SECONDS, campaigns_behind
from adapters.clock import now_ms
from adapters.errors import StoreError
from adapters.kafka.views import CampaignView
from adapters.settings import Settings
from api.figures_source import read_figures, read_measured
from schemas.campaign import CHANGING, OVER, CampaignDocument
from schemas.json import JsonObject

log = logging.getLogger(__name__)

EVERY = 1.0
ANSWER = 10.0
"""Timeout of a query, in seconds."""
SETTLED_EVERY_MS = 30_000
SENT_EVERY_MS = 3_000
"""Milliseconds between readings while only receipts still arrive; a campaign may stay sent for days."""
BEHIND_FOR_MS = SURE_SECONDS * 1000
"""What is recorded of a campaign has it be behind for at least so long; figures from the view that were not looked at
for longer are read again."""
HISTORY = 120
HISTORY_STEP_MS = 900
"""Milliseconds between points of the history, so that frequent polling keeps the last two minutes."""
RATE_OVER_MS = 5_000
_EVERY_ROUND = CHANGING - {"sent"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures of one campaign `as_of` (ms) a revision of its document and a `version` of what is recorded of it; the
    version is None where they are from the view."""

    figures: JsonObject
    as_of: int
    revision: int
    version: int | None


class FiguresService:
    """`down_since` is 0 while ClickHouse answers, else ms of the first failure; `problem` says what failed."""

    def __init__(self, settings: Settings, campaigns: CampaignView) -> None:
        self._campaigns = campaigns
        self.store = Store(settings.clickhouse.reading(), timeout=ANSWER)
        self._snapshots: dict[str, Snapshot] = {}
        self._history: dict[str, deque[tuple[int, int]]] = {}
        self._watched: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.down_since = 0
        self.problem = ""

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="figures")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self.store.close)

    def latest(self, campaign: str) -> Snapshot | None:
        """The newest snapshot, None before the first."""
        return self._snapshots.get(campaign)

    def history(self, campaign: str) -> list[tuple[int, int]]:
        """(ms, submitted so far) of the last two minutes that it was live or watched."""
        return list(self._history.get(campaign, ()))

    def rate(self, campaign: str) -> float:
        """Messages submitted per second over the last seconds; 0 if none were submitted lately."""
        points = self._history.get(campaign)
        if not points or now_ms() - points[-1][0] > 2 * RATE_OVER_MS:
            return 0.0
        last = points[-1]
        first = next(p for p in points if p[0] >= last[0] - RATE_OVER_MS)
        return (last[1] - first[1]) * 1000 / (last[0] - first[0]) if last[0] > first[0] else 0.0

    @contextlib.contextmanager
    def watching(self, campaign: str) -> Iterator[None]:
        """Within this context the figures of the campaign are read each second."""
        self._watched[campaign] = self._watched.get(campaign, 0) + 1
        try:
            yield
        finally:
            self._watched[campaign] -= 1
            if not self._watched[campaign]:
                del self._watched[campaign]

    async def fresh(self, document: CampaignDocument) -> Snapshot | None:
        """Read the figures now; the last snapshot if ClickHouse does not answer."""
        await self._renew([document], self._measure)
        return self.latest(document.id)

    async def _run(self) -> None:
        while True:
            await self._renew(self._due(), self._read)
            await asyncio.sleep(EVERY)

    def _due(self) -> list[CampaignDocument]:
        return [document for document in self._campaigns.all() if self._is_due(document)]

    def _is_due(self, document: CampaignDocument) -> bool:
        if document.status in _EVERY_ROUND or document.id in self._watched:
            return True
        if document.status in ("draft", "scheduled"):
            return False
        known = self._snapshots.get(document.id)
        every = SENT_EVERY_MS if document.status == "sent" else SETTLED_EVERY_MS
        return known is None or known.revision != document.revision or now_ms() - known.as_of > every

    async def _renew(
        self,
        documents: list[CampaignDocument],
        read: Callable[[Sequence[CampaignDocument]], dict[str, Snapshot]],
    ) -> None:
        if not documents and not self.down_since:
            return
        try:
            snapshots = await asyncio.to_thread(read, documents)
        except StoreError as error:
            log.warning("figures could not be read: %s", error)
            self._failed("ClickHouse does not answer, or refuses; see the log of the API")
        except Exception:
            log.exception("figures could not be read")
            self._failed("figures could not be read; see the log of the API")
        else:
            self.down_since, self.problem = 0, ""
            for campaign, snapshot in snapshots.items():
                self._keep(campaign, snapshot)

    def _read(self, documents: Sequence[CampaignDocument]) -> dict[str, Snapshot]:
        """The figures of many campaigns; of ended ones from the view, where it has all that is recorded."""
        ended = [document for document in documents if self._is_left_to_view(document)]
        snapshots = self._from_view(ended) if ended else {}
        return snapshots | self._measure([document for document in documents if document.id not in snapshots])

    def _is_left_to_view(self, document: CampaignDocument) -> bool:
        known = self._snapshots.get(document.id)
        return document.status in OVER and (known is None or known.version is None)

    def _from_view(self, ended: Sequence[CampaignDocument]) -> dict[str, Snapshot]:
        as_of = now_ms()
        behind = set(campaigns_behind(self.store))
        exact = {document.id: document.revision for document in ended if document.id not in behind}
        figures = {
            campaign: known.figures
            for campaign in exact
            if (known := self._snapshots.get(campaign)) and as_of - known.as_of < BEHIND_FOR_MS
        }
        figures |= read_measured(self.store, [campaign for campaign in exact if campaign not in figures])
        return {campaign: Snapshot(figures[campaign], as_of, exact[campaign], None) for campaign in figures}

    def _measure(self, documents: Sequence[CampaignDocument]) -> dict[str, Snapshot]:
        if not documents:
            self.store.ping()
            return {}
        as_of = now_ms()
        # Asked before the figures: what is recorded in between is measured again next time, never overlooked.
        now = versions(self.store, [document.id for document in documents])
        same = {
            document.id: known.figures
            for document in documents
            if (known := self._same(document, now.get(document.id, 0)))
        }
        figures = same | read_figures(self.store, [document.id for document in documents if document.id not in same])
        return {
            document.id: Snapshot(figures[document.id], as_of, document.revision, now.get(document.id, 0))
            for document in documents
        }

    def _same(self, document: CampaignDocument, version: int) -> Snapshot | None:
        """The snapshot that is still current, if there is one."""
        known = self._snapshots.get(document.id)
        # While it is processed its audience comes to be, of which `version` knows nothing.
        if known is None or document.status == "processing":
            return None
        return known if (known.revision, known.version) == (document.revision, version) else None

    def _failed(self, problem: str) -> None:
        self.down_since = self.down_since or now_ms()
        self.problem = problem

    def _keep(self, campaign: str, snapshot: Snapshot) -> None:
        known = self._snapshots.get(campaign)
        if known is not None and known.as_of > snapshot.as_of:
            return
        self._snapshots[campaign] = snapshot
        points = self._history.setdefault(campaign, deque(maxlen=HISTORY))
        if not points or snapshot.as_of - points[-1][0] >= HISTORY_STEP_MS:
            points.append((snapshot.as_of, snapshot.figures["submitted"]))
