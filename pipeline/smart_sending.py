"""Smart sending: two messages to one recipient are never closer than the window of the later one (invariant I5).

A reservation says that a message (its identity) is planned for a recipient at a time, with a window. The table
maps a bucket to its reservations, packed: rows of three little-endian u64,

    hash of the number | planned time in ms << 16 | given back << 15 | window in minutes, rounded up
                       | campaign (40 bits) << 8 | message

in rising order, so that the buckets of a chunk, joined, are one sorted array: the work is a few numpy calls per
chunk however many buckets it touches.

Of two messages the one planned later counts: if the other is earlier than it by less than its window, the second
to ask is refused. So a reservation that is already there also holds back what would be planned shortly before it,
and that even where the newcomer's own window is 0. Planned for the same instant: the wider window counts.

A reservation that is given back holds nobody back any more, but stays until it is old: the chunk that made it may be
read again, and must get the same answer, without a reservation that nobody would give back a second time.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.buckets import SHIFT, Hashes, Numbers, hashes
from pipeline.crockford import campaign_from_octets, campaign_to_octets

HOUR: Final = 3_600_000
WIDEST: Final = 168 * HOUR
KEPT: Final = WIDEST + 24 * HOUR
"""A reservation is dropped so long after its planned time, when its bucket is written anyway. What is planned no
earlier than a day before `now` gets the same answer with and without the dropping."""

_MINUTE: Final = 60_000
_BLOCKER: Final = re.compile(r"([0-9a-hjkmnp-tv-z]{8})-(\d{1,3})@(\d{1,15})")
_WIDTH: Final = 3
_WINDOW_BITS: Final = np.uint64(16)
_WINDOW_MASK: Final = np.uint64(0x7FFF)
_GIVEN_BACK: Final = np.uint64(0x8000)

Rows = NDArray[np.uint64]
Table = MutableMapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Check:
    """Columns of n: whether the message may go; where not, the identity and planned time (ms) that block it, else
    0. Of several that block it is the one planned first."""

    ok: NDArray[np.bool_]
    blocker: NDArray[np.uint64]
    blocked_at: NDArray[np.int64]


def identity_of(campaign: str, message: int) -> int:
    """The 48 bits that name a message of a campaign in a reservation."""
    return int.from_bytes(campaign_to_octets(campaign), "big") << 8 | message


def message_of(identity: int) -> tuple[str, int]:
    """(campaign, message) that `identity_of` packed."""
    return campaign_from_octets((identity >> 8).to_bytes(5, "big")), identity & 0xFF


def blocker_text(identity: int, at: int) -> str:
    """`CAMPAIGN-MESSAGE@TIME`: the message that blocks another and its planned time (ms), as a skip records it."""
    campaign, message = message_of(identity)
    return f"{campaign}-{message}@{at}"


def read_blocker(text: str) -> tuple[str, int, int] | None:
    """(campaign, message, planned time in ms) of a `blocker_text`; None for any other text."""
    found = _BLOCKER.fullmatch(text)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


def check_and_reserve(
    table: Table, numbers: Numbers, planned: int | NDArray[np.int64], identity: int, window_ms: int, now: int
) -> Check:
    """Reserve a message for each of `numbers` that may have it at `planned` (ms; one time, or one per number).

    Only buckets that gain a reservation are assigned, each once. A number that already has this message's
    reservation may go and keeps it as it is, so a replay gives the same answer and assigns nothing.
    `now` only decides which old reservations are dropped.
    """
    hashed = hashes(numbers)
    order = np.argsort(hashed, kind="stable")
    sorted_hashes = hashed[order]
    times = np.broadcast_to(np.asarray(planned, np.int64), len(hashed))[order]
    rows = _joined(table, sorted_hashes)
    words = times.astype(np.uint64) << _WINDOW_BITS | np.uint64(-(-window_ms // _MINUTE))
    found = _compare(rows, sorted_hashes, words, np.uint64(identity))
    fresh = ~found.blocked & ~found.own
    fresh[1:] &= sorted_hashes[1:] != sorted_hashes[:-1]
    if fresh.any():
        new = np.empty((int(fresh.sum()), _WIDTH), np.uint64)
        new[:, 0], new[:, 1], new[:, 2] = sorted_hashes[fresh], words[fresh], identity
        _assign(table, _kept(np.insert(rows, found.place[fresh], new, axis=0), now), sorted_hashes[fresh])
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Check(~found.blocked[back], found.blocker[back], found.blocked_at[back])


def release(table: Table, numbers: Numbers, identity: int) -> None:
    """Give back the reservations of one message for `numbers`; those that it has not, or has given back, are passed
    over, and those of other messages are not touched."""
    hashed = np.unique(hashes(numbers))
    rows = _joined(table, hashed).copy()
    held = (rows[:, 2] == np.uint64(identity)) & np.isin(rows[:, 0], hashed) & (rows[:, 1] & _GIVEN_BACK == 0)
    if not held.any():
        return
    changed = rows[held, 0]
    rows[held, 1] |= _GIVEN_BACK
    _assign(table, rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))], changed)


@dataclass(frozen=True, slots=True)
class _Found:
    """Columns of n, in order of hashes. `place`: where in the rows this message's reservation belongs."""

    own: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    blocker: NDArray[np.uint64]
    blocked_at: NDArray[np.int64]
    place: NDArray[np.int64]


def _compare(rows: Rows, sorted_hashes: Hashes, words: NDArray[np.uint64], identity: np.uint64) -> _Found:
    n = len(sorted_hashes)
    keys = np.ascontiguousarray(rows[:, 0])
    left = keys.searchsorted(sorted_hashes, "left")
    counts = keys.searchsorted(sorted_hashes, "right") - left
    who = np.repeat(np.arange(n), counts)
    at = np.arange(len(who)) + np.repeat(left - (np.cumsum(counts) - counts), counts)
    others, identities = rows[at, 1], rows[at, 2]
    mine = words[who]
    conflict = (identities != identity) & (others & _GIVEN_BACK == 0) & _too_close(mine, others)
    own = np.zeros(n, np.bool_)
    own[who[identities == identity]] = True
    before = (others < mine) | ((others == mine) & (identities < identity))
    found = _Found(
        own=own,
        blocked=np.zeros(n, np.bool_),
        blocker=np.zeros(n, np.uint64),
        blocked_at=np.zeros(n, np.int64),
        place=left + np.bincount(who[before], minlength=n),
    )
    conflict &= ~own[who]
    last_to_first = np.flatnonzero(conflict)[::-1]  # of several assignments to one place the last stays
    blocked = who[last_to_first]
    found.blocked[blocked] = True
    found.blocker[blocked] = identities[last_to_first]
    found.blocked_at[blocked] = (others[last_to_first] >> _WINDOW_BITS).astype(np.int64)
    return found


def _too_close(mine: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    gap = (mine >> _WINDOW_BITS).astype(np.int64) - (others >> _WINDOW_BITS).astype(np.int64)
    my_window = (mine & _WINDOW_MASK).astype(np.int64) * _MINUTE
    other_window = (others & _WINDOW_MASK).astype(np.int64) * _MINUTE
    return ((gap >= 0) & (gap < my_window)) | ((gap <= 0) & (-gap < other_window))


def _joined(table: Table, sorted_hashes: Hashes) -> Rows:
    touched = np.unique(sorted_hashes >> SHIFT).tolist()
    packed = b"".join([table.get(bucket) or b"" for bucket in touched])
    return np.frombuffer(packed, "<u8").reshape(-1, _WIDTH)


def _kept(rows: Rows, now: int) -> Rows:
    keep = (rows[:, 1] >> _WINDOW_BITS) >= np.uint64(max(now - KEPT, 0))
    return rows if keep.all() else rows[keep]


def _assign(table: Table, rows: Rows, changed: Hashes) -> None:
    keys = rows[:, 0] >> SHIFT
    touched = np.unique(changed >> SHIFT)
    starts, ends = keys.searchsorted(touched, "left"), keys.searchsorted(touched, "right")
    for bucket, start, end in zip(touched.tolist(), starts.tolist(), ends.tolist(), strict=True):
        table[bucket] = rows[start:end].tobytes()
