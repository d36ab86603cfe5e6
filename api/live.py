"""GET /v1/live: server-sent events for the page, at most one a second, only what changed since the last one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from api.documents import as_json, row, sources
from api.listing import Filter
from api.routes.reading import filtered
from api.services import Services, services
from api.web.caller import caller
from schemas.json import JsonObject

router = APIRouter(tags=["live"])

EVERY = 1.0


class Feed:
    """The events for one listener; `next` returns what is new since the last one."""

    def __init__(self, shared: Services, wanted: Filter, campaign: str) -> None:
        self._shared = shared
        self._wanted = wanted
        self._campaign = campaign
        self._sent: dict[str, bytes] = {}

    def next(self) -> JsonObject:
        """`order` and `rows` (changed only) of the list's page, `detail` of the chosen campaign if it changed (None
        with `gone` when it was deleted), ages of all figures shown, `sources`."""
        visible = self._shared.visible()
        documents, total = self._wanted.select(visible)
        rows = {document.id: row(self._shared, document) for document in documents}
        event = {
            "order": list(rows),
            "rows": [value for key, value in rows.items() if self._is_new(key, value)],
            "total": total,
            "page": self._wanted.page_of(total),
            "pages": self._wanted.pages(total),
            "tags": sorted({tag for d in visible for tag in d.spec.get("tags", [])}),
            "loading": not self._shared.loaded,
            "sources": sources(self._shared),
        }
        return {**event, **self._chosen()}

    def _chosen(self) -> JsonObject:
        if not self._campaign:
            return {}
        document = self._shared.campaigns.get(self._campaign)
        if document is None or not caller().sees(document.account):
            return {"gone": self._campaign} if self._shared.loaded else {}
        value = as_json(self._shared, document)
        return {"detail": value} if self._is_new(f"detail {document.id}", value) else {}

    def _is_new(self, key: str, value: JsonObject) -> bool:
        # The age grows each second and alone is no news: the page counts it on from `as_of`.
        figures = value["figures"] and {k: v for k, v in value["figures"].items() if k != "age_seconds"}
        encoded = orjson.dumps({**value, "figures": figures})
        if self._sent.get(key) == encoded:
            return False
        self._sent[key] = encoded
        return True


@router.get("/v1/live")
async def live(
    request: Request,
    shared: Annotated[Services, Depends(services)],
    wanted: Annotated[Filter, Depends(filtered)],
    campaign: Annotated[str, Query(max_length=20)] = "",
) -> StreamingResponse:
    """The list as filtered and, if named, one campaign in full, as they change. 429 where the key has too many of
    them open."""
    shared.streams.check(caller().key.id)
    feed = Feed(shared, wanted, campaign)
    return StreamingResponse(
        _events(request, shared, feed, campaign),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(request: Request, shared: Services, feed: Feed, campaign: str) -> AsyncIterator[bytes]:
    watching = shared.figures.watching(campaign) if campaign else contextlib.nullcontext()
    with shared.streams.opened(caller().key.id), watching:
        yield b"retry: 1000\n\n"
        # A key that was revoked meanwhile ends the stream.
        while (
            shared.keys.active(caller().key.id)
            and not await request.is_disconnected()
            and not shared.stopping.is_set()
        ):
            yield b"data: " + orjson.dumps(feed.next()) + b"\n\n"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(shared.stopping.wait(), EVERY)
