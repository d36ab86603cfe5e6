"""Health of the API's process."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from adapters.health.state import alive_answer, ready_answer
from api.services import Services, services

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive(shared: Annotated[Services, Depends(services)]) -> JSONResponse:
    """200 while this process is alive."""
    status, content = alive_answer(shared.health)
    return JSONResponse(content, status)


@router.get("/readyz")
async def ready(shared: Annotated[Services, Depends(services)]) -> JSONResponse:
    """200 while this process can do its work; 503 says what is not ready, and since when."""
    status, content = ready_answer(shared.health)
    return JSONResponse(content, status)
