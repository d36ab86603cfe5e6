"""Reads which recipients a request means."""

from __future__ import annotations

from typing import Final

from api.web.errors import ApiError
from schemas.selection import Selection

MOST_NAMED: Final = 100
"""States, and reasons, of one request."""


def checked_selection(outcome: Selection | str) -> Selection:
    """The selection, where it is one.

    Raises:
        ApiError: 422, with what is wrong.
    """
    if isinstance(outcome, str):
        field, _, error = outcome.partition(": ")
        raise ApiError(422, outcome, fields=[{"field": field, "error": error}])
    return outcome
