"""The campaigns of a lane that wait because all domains for their links are used up: they are suspended until there
is room again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.accounts.domains import domain_reason
from pipeline.lane.state import LaneState
from pipeline.sending.effects import Announce, Instant
from schemas.campaign import IN_LANES, CampaignDocument, Suspension
from schemas.domains import DomainKind
from schemas.reasons import Reason

PAUSE: Final = 0.5
"""Seconds between two looks."""
PATIENCE: Final = 1.0
"""Seconds that recipients must have waited: an INTENT under way may give back what it had counted."""
AGAIN: Final = 5.0
"""Seconds after which an announcement is repeated that the campaign's document does not show."""


class Shortage:
    """One lane's announcements. `document`: a campaign's newest document, None if it is not known."""

    def __init__(self, lane: int, document: Callable[[str], CampaignDocument | None]) -> None:
        self._by = f"lane {lane}, domains"
        self._document = document
        self._looked = -PAUSE
        self._since: dict[tuple[str, DomainKind], float] = {}
        """Campaign and kind to when its recipients were first seen waiting (s)."""
        self._announced: dict[str, float] = {}
        self.suspended = 0
        """Campaigns that this lane holds, as of the last look."""
        self.starved: dict[str, list[DomainKind]] = {}
        """Account to the kinds of which recipients wait for a domain, as of the last look."""

    def look(self, state: LaneState, now: Instant) -> tuple[list[Announce], list[str]]:
        """The announcements due now, and the campaigns that need not wait anymore; may be called at any time."""
        if now.seconds - self._looked < PAUSE or not (state.domains or self._since):
            return [], []
        self._looked = now.seconds
        short = self._short(state)
        self.starved = {}
        for account, kind in sorted({(account, kind) for account, kind in short.values()}):
            self.starved.setdefault(account, []).append(kind)
        before = {campaign for campaign, _ in self._since}
        waiting = {(campaign, kind) for campaign, (_, kind) in short.items()}
        self._since = {key: self._since.get(key, now.seconds) for key in waiting}
        documents = [
            document
            for campaign, control in state.campaigns.items()
            if control.state != "canceled" and (document := self._document(campaign)) is not None
        ]
        self.suspended = sum(document.status == "suspended" and bool(self._held(document)) for document in documents)
        announcements = [
            announcement
            for document in documents
            for announcement in self._said(document, short.get(document.id), now)
        ]
        return announcements, sorted(before - short.keys())

    def _held(self, document: CampaignDocument) -> str:
        """Why this lane holds a campaign, by its document; "" if it does not."""
        return next((hold.reason for hold in document.holds if hold.by == self._by), "")

    def _short(self, state: LaneState) -> dict[str, tuple[str, DomainKind]]:
        """Campaign to its account and the kind of domain that due recipients of it wait for."""
        return {
            key[0]: (sender[0], kind)
            for sender, key in state.table.ready_queues()
            if sender[0] in state.domains and state.running(key[0])
            if (kind := state.missing_domain(sender[0], key)) is not None
        }

    def _said(self, document: CampaignDocument, short: tuple[str, DomainKind] | None, now: Instant) -> list[Announce]:
        held = self._held(document)
        reason = "" if short is None else domain_reason(Reason.DOMAINS_USED_UP, short[1], short[0])
        if short is not None and now.seconds - self._since[document.id, short[1]] < PATIENCE:
            return []
        if held == reason or (reason and document.status not in IN_LANES):
            self._announced.pop(document.id, None)
            return []
        if now.seconds - self._announced.get(document.id, -AGAIN) < AGAIN:
            return []
        self._announced[document.id] = now.seconds
        record = Suspension(campaign=document.id, suspended=bool(reason), reason=reason, at=now.ms, by=self._by)
        return [Announce(record)]
