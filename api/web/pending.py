"""The answer to a command that nobody has carried out in time: 202, it is kept and will be."""

from __future__ import annotations

from typing import Final

from fastapi.responses import JSONResponse

from schemas.json import JsonObject

ANSWER_SECONDS: Final = 10.0
"""Seconds that a request waits for a command's outcome before it answers "accepted, not yet carried out"."""


def pending(subject: str, command: str, silent: str, where: str) -> JSONResponse:
    """The 202 for a command about `subject`: who is `silent`, and where to see what became of it."""
    body: JsonObject = {
        "id": subject,
        "command": command,
        "accepted": True,
        "carried_out": False,
        "message": (
            f"accepted, not yet carried out: {silent} within {ANSWER_SECONDS:.0f} s. The command is kept and will be "
            f"carried out; see `longwave status` for the workers and {where}"
        ),
    }
    return JSONResponse(body, 202)
