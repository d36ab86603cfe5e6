"""Cursors of lists that are newest first: the place of the last row shown, so that what is added or deleted meanwhile
repeats nobody and loses nobody. Opaque to clients."""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

NONE_OF_OURS: Final = "not a cursor of this list: take `next` of the page before, or none to begin"


class Place(NamedTuple):
    """Where a row stands: `created` in ms, then its id."""

    created: int
    id: str

    def comes_after(self, other: Place) -> bool:
        """Whether it is listed after `other`: created before it, or at the same time and of a greater id."""
        return (-self.created, self.id) > (-other.created, other.id)


def written(place: Place) -> str:
    """The cursor of a place."""
    return base64.urlsafe_b64encode(f"{place.created}.{place.id}".encode()).decode().rstrip("=")


def read(cursor: str) -> Place:
    """The place of a cursor.

    Raises:
        ValueError: it is none of ours.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        created, _, name = raw.decode("ascii").partition(".")
        if not name or not created.isdecimal() or len(created) > 15:
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise ValueError(NONE_OF_OURS) from error
    return Place(int(created), name)
