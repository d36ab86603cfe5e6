"""Health and metrics of the API's process."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.documents import sources
from api.services import Services, services
from schemas.json import JsonObject

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def health(shared: Annotated[Services, Depends(services)]) -> JsonObject:
    """200 while this process serves; `sources` says what it can reach (the page shows it too)."""
    return {"ok": True, "loading": not shared.loaded, "sources": sources(shared)}


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
