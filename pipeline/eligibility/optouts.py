"""Numbers that must not get messages now, by account: opted out, or held until an operator decides.

The fold of topic `optouts`. A number is blocked if its current consent is `out` or a hold of it is open, for the
account or for every account ("" in records). What an account's record says never opens what is closed for all.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.buckets import Hashes, Numbers, hash_of, hashes
from pipeline.identity.hash_set import MERGE_AT, HashSet
from schemas.feedback import OPTOUTS, Consent
from schemas.reasons import Reason
from schemas.wire import DecodeError

REASONS: Final = ("", Reason.OPTED_OUT, Reason.HELD_FOR_REVIEW)
"""Why a number is blocked, by the code that `codes_of` gives."""
Blocked = Callable[[list[int]], list[str]]
"""Why each of the numbers may not get a message now; "" where it may."""
LATEST_STOPS: Final = 100_000
"""Texts that stopped, of which the place is remembered: a START is dealt with seconds after it came, so that of the
STOPs that came after it none is older than these."""


class ConsentKey(NamedTuple):
    """What a key of topic `optouts` names; `hold` is "" for the current consent."""

    account: str
    number: int
    hold: str


def parse_key(key: bytes) -> ConsentKey | None:
    """The parts of a key of topic `optouts`, None if it is none."""
    account, slash, rest = key.decode("utf-8", "replace").partition("/")
    number, _, hold = rest.partition("/")
    return ConsentKey(account, int(number), hold) if slash and number.isascii() and number.isdigit() else None


def reason_of(account: str, states: Mapping[tuple[str, str], str]) -> str:
    """Why `account` may not write to a number, "" if it may, of the number's states by (account, hold)."""
    closed = [hold for (whose, hold), state in states.items() if whose in ("", account) and state != "in"]
    return "" if not closed else Reason.OPTED_OUT if "" in closed else Reason.HELD_FOR_REVIEW


def without_decided(changes: Sequence[Consent], ended: Container[tuple[str, int, str]]) -> list[Consent]:
    """The changes without those that would open again what is `ended` (account, number, hold): a hold is named by its
    evidence, so an operator's decision about it stands however often the same evidence comes."""
    return [
        change
        for change in changes
        if change.state != "held" or (change.account, change.number, change.hold) not in ended
    ]


class OptOuts:
    """Which numbers are blocked now. Not safe to use from several threads."""

    __slots__ = ("_ended", "_held", "_held_by_account", "_holds", "_out", "_out_by_account", "_stops")

    def __init__(self, numbers: Numbers = (), merge_at: int = MERGE_AT) -> None:
        """`numbers` are opted out for every account."""
        self._out = HashSet(hashes(numbers), merge_at)
        self._held = HashSet(merge_at=merge_at)
        # One set for all accounts: a number's hash with the account's salt in it.
        self._out_by_account = HashSet(merge_at=merge_at)
        self._held_by_account = HashSet(merge_at=merge_at)
        self._holds: dict[tuple[str, int], set[str]] = {}
        self._ended: set[tuple[str, int, str]] = set()
        self._stops: dict[tuple[str, int], int] = {}
        """Place of the last STOP by text of account and number, the latest ones."""

    def __len__(self) -> int:
        """Opt-outs: those for every account and those for one."""
        return len(self._out) + len(self._out_by_account)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return sum(s.nbytes for s in (self._out, self._held, self._out_by_account, self._held_by_account))

    def apply(self, record: Consent) -> None:
        """Take the next record of the log.

        A START is void if a STOP of the same person came after it and is in the log before it: the ingress writes
        STOPs at once, STARTs pass the inbound step, and that step writes such a STOP again when it reads it.
        """
        whose = (record.account, record.number)
        if record.hold:
            self._apply_hold(whose, record.hold, is_open=record.state == "held")
            return
        is_out = record.state != "in"
        if is_out and record.place >= 0:
            self._note_stop(whose, record.place)
        if not is_out and 0 <= record.place < self._stops.get(whose, -1):
            return
        self._set(self._out, self._out_by_account, whose, is_out)

    def take(self, key: bytes, value: bytes | None) -> str:
        """Take the next record of the log as it is stored. What cannot be read counts as an opt-out; returns why it
        cannot, "" where it can."""
        names = parse_key(key)
        if value is None:
            if names is not None:
                self.forget(names)
            return ""
        try:
            self.apply(OPTOUTS.decode(value))
        except DecodeError as error:
            # Fail safe: whatever the record meant to say, do not text this number.
            if names is not None:
                self.block(names)
            return f"consent record of {key!r} not understood, taken as an opt-out: {error}"
        return ""

    def block(self, key: ConsentKey) -> None:
        """Block the number of an unreadable record for every account."""
        self._set(self._out, self._out_by_account, (key.account, key.number), True)

    def forget(self, key: ConsentKey) -> None:
        """Remove a deleted key."""
        whose = (key.account, key.number)
        if key.hold:
            self._apply_hold(whose, key.hold, is_open=False)
        else:
            self._set(self._out, self._out_by_account, whose, False)

    def codes_of(self, account: str, numbers: Numbers) -> NDArray[np.uint8]:
        """For each of `numbers` 0 if `account` may write to it, else the index of its reason in `REASONS`."""
        wanted = hashes(numbers)
        codes = _contains(self._out, self._out_by_account, account, wanted).astype(np.uint8)
        if not (self._held.is_empty and self._held_by_account.is_empty):
            held = _contains(self._held, self._held_by_account, account, wanted)
            codes[held & (codes == 0)] = REASONS.index(Reason.HELD_FOR_REVIEW)
        return codes

    def blocked_many(self, account: str, numbers: list[int]) -> list[str]:
        """Why `account` may not write to each of `numbers`: a reason of `REASONS`, "" where it may."""
        codes = self.codes_of(account, numbers)
        return [REASONS[code] for code in codes.tolist()] if codes.any() else [""] * len(numbers)

    def blocked_otherwise(self, account: str, number: int) -> str:
        """Why `account` may not write to a number, its own current consent apart; "" if that alone is in the way."""
        if self._holds.get((account, number)) or self._holds.get(("", number)):
            return Reason.HELD_FOR_REVIEW
        return self.blocked_many("", [number])[0] if account else ""

    def has(self, consent: Consent) -> bool:
        """Whether what a record closes is closed, or has been a hold that was ended since."""
        whose = (consent.account, consent.number)
        if consent.state == "held":
            return consent.hold in self._holds.get(whose, ()) or (*whose, consent.hold) in self._ended
        mask = _contains(self._out, self._out_by_account, consent.account, hashes([consent.number]))
        return bool(mask[0])

    def _apply_hold(self, whose: tuple[str, int], hold: str, *, is_open: bool) -> None:
        holds = self._holds.setdefault(whose, set())
        (holds.add if is_open else holds.discard)(hold)
        (self._ended.discard if is_open else self._ended.add)((*whose, hold))
        self._set(self._held, self._held_by_account, whose, bool(holds))
        if not holds:
            del self._holds[whose]

    def _note_stop(self, whose: tuple[str, int], place: int) -> None:
        known = self._stops.pop(whose, -1)
        self._stops[whose] = max(place, known)
        if len(self._stops) > LATEST_STOPS:
            del self._stops[next(iter(self._stops))]

    def _set(self, everywhere: HashSet, by_account: HashSet, whose: tuple[str, int], is_in: bool) -> None:
        account, number = whose
        if account:
            by_account.apply(hash_of(number) ^ _salt(account), is_in)
        else:
            everywhere.apply(hash_of(number), is_in)


def _contains(everywhere: HashSet, by_account: HashSet, account: str, wanted: Hashes) -> NDArray[np.bool_]:
    mask = everywhere.contains_many(wanted)
    if account and not by_account.is_empty:
        mask |= by_account.contains_many(wanted ^ np.uint64(_salt(account)))
    return mask


@cache
def _salt(account: str) -> int:
    return int.from_bytes(blake2b(account.encode(), digest_size=8, person=b"lw-account").digest())
