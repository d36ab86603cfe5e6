"""The words of campaigns: states of recipients, statuses, and every reason with its meaning."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

from fastapi import APIRouter

from schemas.campaign import CHANGING, Status
from schemas.reasons import MEANINGS
from schemas.states import STATES

router = APIRouter(prefix="/v1/vocabulary", tags=["vocabulary"])


@router.get("")
async def vocabulary() -> dict[str, Any]:
    """States of recipients in the order in which they are shown, statuses of campaigns, those in which figures change
    from one second to the next, and the closed list of reasons with their states, a sentence, and what to do."""
    return {
        "states": [{"name": name, "label": words.label, "meaning": words.meaning} for name, words in STATES.items()],
        "statuses": list(get_args(Status)),
        "changing_statuses": sorted(CHANGING),
        "reasons": [{"name": reason, **asdict(meaning)} for reason, meaning in MEANINGS.items()],
    }
