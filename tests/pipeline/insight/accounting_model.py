"""What the accounting must say, by its definition over plain sets; slow and obvious."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.figures import MessageSets, Settled, StateSet
from schemas.succession import BEFORE_LANE, BILLED, BY_ATTEMPT, EVENTS, FINAL, SHOWN, WAITING, may_follow, rank


@dataclass(frozen=True, slots=True)
class Record:
    """One recipient was recorded in a state, or an event."""

    ordinal: int
    state: str
    reason: str = ""
    attempt: int = 0
    segments: int = 0
    price: int = 0

    def set_key(self) -> tuple[str, str, int, int, int]:
        """The set that ClickHouse keeps it in: only what the state needs splits its sets."""
        billed = self.state in BILLED
        attempt = self.attempt if self.state in BY_ATTEMPT else 0
        return self.state, self.reason, attempt, self.segments * billed, self.price * billed


def states(records: Iterable[Record], present: int, recipients: int) -> dict[str, int]:
    """Each state's set without the sets of the states that may follow it, summed over attempts."""
    members: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for record in records:
        if record.state not in EVENTS:
            members[record.state, record.set_key()[2]].add(record.ordinal)
    counts = dict.fromkeys(SHOWN, 0)
    for earlier, actual in members.items():
        later = [members[other] for other in members if may_follow(earlier, other)]
        counts[BEFORE_LANE.get(earlier[0], earlier[0])] += len(actual - set().union(*later))
    known = set().union(*members.values())
    counts["pending"] = present - len({item for item in known if item < recipients})
    return counts


def billed(records: Iterable[Record]) -> tuple[int, int, int]:
    """(messages, segments, millionths of a credit); the kinds of a recipient must not differ."""
    kept = list(records)
    in_state = {state: {item.ordinal for item in kept if item.state == state} for state in SHOWN}
    received = in_state["delivered"] | in_state["undelivered"]
    taken = in_state["accepted"] | (in_state["unknown"] & received)
    kind = {item.ordinal: (item.segments, item.price) for item in kept if item.state in BILLED}
    segments = sum(kind[item][0] for item in taken)
    return len(taken), segments, sum(kind[item][0] * kind[item][1] for item in taken)


def measured(records: Iterable[Record], present: int, recipients: int) -> MessageSets:
    """The sizes of unions that the engine measures."""
    members: defaultdict[tuple[str, str, int, int, int], set[int]] = defaultdict(set)
    for record in records:
        members[record.set_key()].add(record.ordinal)
    keys = sorted(members)
    kept = [key for key in keys if key[0] not in EVENTS]
    chain = sorted(kept, key=lambda key: (-rank(key[0], key[2]), not key[1], key[1], key[3], key[4]))
    reached = {key: len(set().union(*(members[item] for item in chain[: n + 1]))) for n, key in enumerate(chain)}
    known = set().union(*(members[key] for key in kept))
    sets = [
        StateSet(
            *key, own=len(set().union(*(members[item] for item in _own(key, keys)))), reached=reached.get(key, 0)
        )
        for key in keys
    ]
    return MessageSets(
        campaign="testtest",
        message=0,
        recipients=recipients,
        audience_rows=present,
        outside=len([item for item in known if item >= recipients]),
        sets=sets,
        settled=_settled(members),
        newest_at=1,
        inserted_at=2,
    )


def _own(key: tuple[str, str, int, int, int], keys: list[tuple[str, str, int, int, int]]) -> list[tuple]:
    if key[0] in EVENTS:
        return [key]
    if key[0] in BILLED:
        chain = sorted(
            (key for key in keys if key[0] in BILLED), key=lambda item: (item[0], item[3], item[4], item[1], item[2])
        )
        return chain[: chain.index(key) + 1]
    if key[0] in FINAL:
        return [item for item in keys if item[0] == key[0] and item[1] <= key[1]]
    return []


def _settled(members: dict[tuple[str, str, int, int, int], set[int]]) -> list[Settled] | None:
    def union(*names: str) -> set[int]:
        return set().union(*(actual for key, actual in members.items() if key[0] in names))

    moved_on = set().union(
        *(
            actual & others
            for key, actual in members.items()
            for other, others in members.items()
            if key[0] == "unknown"
            and other[0] in (*FINAL, *WAITING)
            and may_follow((key[0], key[2]), (other[0], other[2]))
        )
    )
    if not moved_on and not union("unknown") & union("rejected"):
        return None
    kinds: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for key, actual in members.items():
        if key[0] == "unknown":
            kinds[key[3], key[4]] |= actual
    resolved = union("delivered", "undelivered") - union("accepted")
    return [Settled(*kind, len(actual & resolved)) for kind, actual in kinds.items()]
