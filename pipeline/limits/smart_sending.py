"""Smart sending: two messages to one recipient are never closer than the window of the later one (invariant I5).

A reservation says that a message (its identity) is planned for a recipient at a time, with a window. The table
maps a bucket to its reservations, packed: rows of three little-endian u64,

    hash of the number | planned time in ms << 16 | given back << 15 | window in minutes, rounded up
                       | account's tag << 48 | campaign (40 bits) << 8 | message

in rising order, so that the buckets of a chunk, joined, are one sorted array: the work is a few numpy calls per
chunk however many buckets it touches.

Of two messages the one planned later counts: if the other is earlier than it by less than its window, the second
to ask is refused. So a reservation that is already there also holds back what would be planned shortly before it,
and that even where the newcomer's own window is 0. Planned for the same instant: the wider window counts.

A lane that lets a message wait long past its planned time (quiet hours began, the carrier's day is used up) has the
reservation moved to when it goes then, so that what is decided later keeps its distance to it.

Caps (pipeline/limits/caps.py) are counted over the same rows in the same pass, for those whom no window holds back.

A reservation that is given back holds nobody back anymore, but stays until it is old: the chunk that made it may be
read again, and must get the same answer, without a reservation that nobody would give back a second time.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import SHIFT, Hashes, Numbers, hashes
from pipeline.identity.crockford import campaign_from_octets, campaign_to_octets
from pipeline.limits.caps import Held, Limit, full

HOUR: Final = 3_600_000
WIDEST: Final = 168 * HOUR
KEPT: Final = WIDEST + 24 * HOUR
"""A reservation is dropped so long after its planned time, when its bucket is written anyway. What is planned no
earlier than a day before `now` gets the same answer with and without the dropping, from windows and caps alike."""
MAY_GO: Final = 0
SMART_SENDING: Final = 1
FIRST_LIMIT: Final = 2

_MINUTE: Final = 60_000
_BLOCKER: Final = re.compile(r"([0-9a-hjkmnp-tv-z]{8})-(\d{1,3})@(\d{1,15})")
_WIDTH: Final = 3
_WINDOW_BITS: Final = np.uint64(16)
_WINDOW_MASK: Final = np.uint64(0x7FFF)
_GIVEN_BACK: Final = np.uint64(0x8000)
_ACCOUNT_BITS: Final = np.uint64(48)
_MESSAGE_MASK: Final = np.uint64((1 << 48) - 1)

Rows = NDArray[np.uint64]
Table = MutableMapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Check:
    """Columns of n: whether the message may go; where not, the identity and planned time (ms) that block it, else
    0. Of several that block it is the one planned first.

    `rule`: MAY_GO, SMART_SENDING, or FIRST_LIMIT + the index of the limit; the first of them that holds it back.
    """

    ok: NDArray[np.bool_]
    blocker: NDArray[np.uint64]
    blocked_at: NDArray[np.int64]
    rule: NDArray[np.uint8]


def identity_of(campaign: str, message: int, account: int = 0) -> int:
    """The 48 bits that name a message of a campaign in a reservation, above them its account's tag."""
    return account << 48 | int.from_bytes(campaign_to_octets(campaign), "big") << 8 | message


@lru_cache(maxsize=4096)
def message_of(identity: int) -> tuple[str, int]:
    """(campaign, message) that `identity_of` packed."""
    return campaign_from_octets((identity >> 8 & (1 << 40) - 1).to_bytes(5, "big")), identity & 0xFF


def blocker_text(identity: int, at: int) -> str:
    """`CAMPAIGN-MESSAGE@TIME`: the message that blocks another and its planned time (ms), as a skip records it."""
    campaign, message = message_of(identity)
    return f"{campaign}-{message}@{at}"


def read_blocker(text: str) -> tuple[str, int, int] | None:
    """(campaign, message, planned time in ms) of a `blocker_text`; None for any other text."""
    match = _BLOCKER.fullmatch(text)
    return None if match is None else (match[1], int(match[2]), int(match[3]))


@dataclass(frozen=True, slots=True)
class Spacing:
    """What keeps one message from others: its `identity` (`identity_of`), its window, and caps, asked in this order
    after the windows."""

    identity: int
    window_ms: int
    limits: Sequence[Limit] = ()


def check_and_reserve(
    table: Table,
    numbers: Numbers,
    planned: int | NDArray[np.int64],
    spacing: Spacing,
    now: int,
    reserving: NDArray[np.bool_] | None = None,
) -> Check:
    """Reserve a message for each of `numbers` that may have it at `planned` (ms; one time, or one per number).

    Only buckets that gain a reservation are assigned, each once. A number that already has this message's
    reservation may go and keeps it as it is, so a replay gives the same answer and assigns nothing.
    `now` only decides which old reservations are dropped. `reserving`: of which numbers a reservation is made (None:
    of all); the others are only asked for.
    """
    hashed = hashes(numbers)
    order = np.argsort(hashed, kind="stable")
    sorted_hashes = hashed[order]
    times = np.broadcast_to(np.asarray(planned, np.int64), len(hashed))[order]
    rows = _joined(table, sorted_hashes)
    words = times.astype(np.uint64) << _WINDOW_BITS | np.uint64(-(-spacing.window_ms // _MINUTE))
    others = _others(rows, sorted_hashes, words, np.uint64(spacing.identity))
    blocks = _windows(others, words)
    for index, limit in enumerate(spacing.limits, FIRST_LIMIT):
        _cap(blocks, limit, index, others, times, order)
    fresh = (blocks.rule == MAY_GO) & ~others.own
    fresh[1:] &= sorted_hashes[1:] != sorted_hashes[:-1]
    if reserving is not None:
        fresh &= reserving[order]
    if fresh.any():
        new = np.empty((int(fresh.sum()), _WIDTH), np.uint64)
        new[:, 0], new[:, 1], new[:, 2] = sorted_hashes[fresh], words[fresh], spacing.identity
        _assign(table, _kept(np.insert(rows, others.place[fresh], new, axis=0), now), sorted_hashes[fresh])
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    rule = blocks.rule[back]
    return Check(rule == MAY_GO, blocks.blocker[back], blocks.blocked_at[back], rule)


def release(table: Table, numbers: Numbers, identity: int) -> None:
    """Give back the reservations of one message for `numbers`, whatever account its `identity` names; those that it
    has not, or has given back, are ignored, and those of other messages are not touched."""
    hashed = np.unique(hashes(numbers))
    rows = _joined(table, hashed).copy()
    mine = rows[:, 2] & _MESSAGE_MASK == np.uint64(identity) & _MESSAGE_MASK
    held = mine & np.isin(rows[:, 0], hashed) & (rows[:, 1] & _GIVEN_BACK == 0)
    if not held.any():
        return
    changed = rows[held, 0]
    rows[held, 1] |= _GIVEN_BACK
    _assign(table, _sorted(rows), changed)


def move(table: Table, numbers: Numbers, identity: int, due: int) -> None:
    """Plan one message for `numbers` at `due` (ms) instead, because it goes then whatever others are planned; a
    reservation that is not held, or is there already, is ignored."""
    hashed = np.unique(hashes(numbers))
    rows = _joined(table, hashed).copy()
    mine = rows[:, 2] & _MESSAGE_MASK == np.uint64(identity) & _MESSAGE_MASK
    moved = mine & np.isin(rows[:, 0], hashed) & (rows[:, 1] & _GIVEN_BACK == 0) & (_times(rows[:, 1]) != due)
    if not moved.any():
        return
    changed = rows[moved, 0]
    rows[moved, 1] = rows[moved, 1] & _WINDOW_MASK | np.uint64(due) << _WINDOW_BITS
    _assign(table, _sorted(rows), changed)


def _sorted(rows: Rows) -> Rows:
    return rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]


@dataclass(frozen=True, slots=True)
class _Others:
    """Columns of n, in order of hashes. `own`: has this message's reservation already; `place`: where in the rows it
    belongs. Columns of pairs, in order of both: recipient and a reservation that holds, of another message; those of
    recipients with an own one are left out."""

    own: NDArray[np.bool_]
    place: NDArray[np.int64]
    who: NDArray[np.int64]
    words: NDArray[np.uint64]
    identities: NDArray[np.uint64]


def _others(rows: Rows, sorted_hashes: Hashes, words: NDArray[np.uint64], identity: np.uint64) -> _Others:
    n = len(sorted_hashes)
    keys = np.ascontiguousarray(rows[:, 0])
    left = keys.searchsorted(sorted_hashes, "left")
    counts = keys.searchsorted(sorted_hashes, "right") - left
    who = np.repeat(np.arange(n), counts)
    at = np.arange(len(who)) + np.repeat(left - (np.cumsum(counts) - counts), counts)
    others, identities = rows[at, 1], rows[at, 2]
    own = np.zeros(n, np.bool_)
    own[who[identities & _MESSAGE_MASK == identity & _MESSAGE_MASK]] = True
    mine = words[who]
    before = (others < mine) | ((others == mine) & (identities < identity))
    place = left + np.bincount(who[before], minlength=n)
    holds = (others & _GIVEN_BACK == 0) & ~own[who]
    return _Others(own, place, who[holds], others[holds], identities[holds])


@dataclass(frozen=True, slots=True)
class _Found:
    """Columns of n, in order of hashes, as of `Check`."""

    rule: NDArray[np.uint8]
    blocker: NDArray[np.uint64]
    blocked_at: NDArray[np.int64]

    def note(self, rule: int, whom: NDArray[np.int64], others: _Others, by: NDArray[np.int64]) -> None:
        """`rule` holds back `whom` because of the pairs `by`; of several assignments to one place the last stays."""
        self.rule[whom] = rule
        self.blocker[whom] = others.identities[by]
        self.blocked_at[whom] = _times(others.words[by])


def _windows(others: _Others, words: NDArray[np.uint64]) -> _Found:
    n = len(words)
    blocks = _Found(np.zeros(n, np.uint8), np.zeros(n, np.uint64), np.zeros(n, np.int64))
    last_to_first = np.flatnonzero(_too_close(words[others.who], others.words))[::-1]
    blocks.note(SMART_SENDING, others.who[last_to_first], others, last_to_first)
    return blocks


def _cap(
    blocks: _Found, limit: Limit, rule: int, others: _Others, times: NDArray[np.int64], order: NDArray[np.int64]
) -> None:
    """Note those whom nothing holds back yet and a full span does."""
    held = Held(others.who, _times(others.words), others.identities >> _ACCOUNT_BITS)
    by = full(limit if limit.whom is None else replace(limit, whom=limit.whom[order]), held, times)
    whom = np.flatnonzero((by >= 0) & (blocks.rule == MAY_GO))
    blocks.note(rule, whom, others, by[whom])


def _times(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words >> _WINDOW_BITS).astype(np.int64)


def _too_close(mine: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.bool_]:
    gap = _times(mine) - _times(others)
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
