"""Search, filters and pages of the campaign list, for the REST API and the live page."""

from __future__ import annotations

from dataclasses import dataclass

from api.web.cursor import Place, written
from schemas.campaign import CampaignDocument


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list: `search` in names, tags and ids, an exact status and tag; page from 1."""

    search: str = ""
    status: str = ""
    tag: str = ""
    page: int = 1
    size: int = 50
    after: Place | None = None
    """The last row that was shown: those that follow it, whatever `page` says."""

    def matches(self, document: CampaignDocument) -> bool:
        tags = document.spec.get("tags", [])
        if self.status and document.status != self.status:
            return False
        if self.tag and self.tag not in tags:
            return False
        wanted = self.search.casefold().strip()
        texts = [document.spec.get("name", ""), document.id, *tags]
        return not wanted or any(wanted in text.casefold() for text in texts)

    def select(self, documents: list[CampaignDocument]) -> tuple[list[CampaignDocument], int]:
        """(documents of the page, how many match); a page past the end is the last one."""
        matching = [document for document in documents if self.matches(document)]
        after = self.after
        if after is not None:
            return [document for document in matching if _place(document).comes_after(after)][: self.size], len(
                matching
            )
        first = (self.page_of(len(matching)) - 1) * self.size
        return matching[first : first + self.size], len(matching)

    def next_of(self, shown: list[CampaignDocument]) -> str:
        """The cursor of what follows, "" where the page is not full: nothing does."""
        return written(_place(shown[-1])) if len(shown) == self.size else ""

    def pages(self, total: int) -> int:
        return max(1, -(-total // self.size))

    def page_of(self, total: int) -> int:
        return min(self.page, self.pages(total))


def _place(document: CampaignDocument) -> Place:
    return Place(document.created, document.id)
