"""What an owner proposes next: limits, opt-outs, deadlines, and nobody twice while a record is on its way."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from pipeline.lane.scheduler import FairShare
from pipeline.sending.picking.picker import EXPIRED_AT_ONCE, Picked, Picks, Room, pick
from schemas.lane import LANES, Defer, Drop, Intent
from schemas.wire import encode
from tests.pipeline.lane.records import DEMO, A, B, Log, control, owner, work

NUMBER = 12125550000


def nobody(numbers: list[int]) -> list[str]:
    return [""] * len(numbers)


def opted_out(*ordinals: int) -> Callable[[list[int]], list[str]]:
    return lambda numbers: ["opted_out" if number - NUMBER in ordinals else "" for number in numbers]


class Desk:
    """An owner's side of a lane with a running campaign A; epoch 2."""

    def __init__(self, **more: object) -> None:
        self.log = Log()
        self.log.add(control(A, **more))  # type: ignore[arg-type]
        self.log.add(owner())
        self.picked, self.share = Picked(), FairShare()

    def pick(
        self,
        messages: int = 500,
        segments: int = 500,
        out: Callable[[list[int]], list[str]] = nobody,
        now: int = 100,
    ) -> Picks | None:
        self.log.state.table.release(now)
        chosen = pick(
            self.log.state, self.picked, self.share, out, now, Room(sender=DEMO, messages=messages, segments=segments)
        )
        if chosen is not None:
            for record in self.records(chosen, now):
                self.picked.add(record.slices)
        return chosen

    def records(self, chosen: Picks, now: int = 100) -> list[Drop | Defer | Intent]:
        """What the owner writes."""
        intents = [Intent(epoch=2, picks=[chosen.pick], at=now)] if chosen.pick else []
        return [*chosen.drops, *intents]


def test_nothing_to_pick() -> None:
    desk = Desk()
    assert desk.pick() is None
    desk.log.add(work([1], dues=[(1, 900)]))
    assert desk.pick() is None, "not due"
    desk.log.add(work([1], B))
    assert desk.pick() is None, "no campaign B is known here"
    desk.log.add(control(B, "paused"))
    assert desk.pick() is None


def test_a_pick_goes_on_over_chunks_until_messages_or_segments_run_out() -> None:
    desk = Desk()
    desk.log.add(work([0, 1, 2], segments=[1, 2, 1]))
    desk.log.add(work([3, 4], segments=[3, 1]))
    first = desk.pick(messages=4)
    assert first is not None
    assert first.pick is not None
    assert (first.pick.slices, first.segments) == ([(2, 0, 3), (3, 0, 1)], 7)
    assert (first.pick.campaign, first.pick.message) == (A, 0)
    second = desk.pick()
    assert second is not None
    assert second.pick is not None
    assert (second.pick.slices, second.segments) == ([(3, 1, 2)], 1)
    assert desk.pick() is None, "all of it is on its way"


def test_a_message_larger_than_the_budget_goes_alone() -> None:
    desk = Desk()
    desk.log.add(work([0, 1], segments=[5, 1]))
    chosen = desk.pick(segments=2)
    assert chosen is not None
    assert chosen.pick is not None
    assert (chosen.pick.slices, chosen.segments) == ([(2, 0, 1)], 5)


def test_opted_out_recipients_are_dropped_and_the_rest_of_the_chunk_goes_before_the_next_chunk() -> None:
    desk = Desk()
    desk.log.add(work(list(range(8))))
    desk.log.add(work([8, 9]))
    chosen = desk.pick(segments=4, out=opted_out(1, 2, 5, 9))
    assert chosen is not None
    assert chosen.pick is not None
    assert chosen.pick.slices == [(2, 0, 1), (2, 3, 5), (2, 6, 7)]
    assert [(drop.slices, drop.state, drop.reason) for drop in chosen.drops] == [
        ([(2, 1, 3), (2, 5, 6)], "skipped", "opted_out")
    ]


def test_recipients_held_for_review_are_dropped_with_that_reason() -> None:
    desk = Desk()
    desk.log.add(work(list(range(4))))
    block_reasons = ["opted_out", "", "held_for_review", ""]
    chosen = desk.pick(segments=4, out=lambda numbers: [block_reasons[number - NUMBER] for number in numbers])
    assert chosen is not None
    assert chosen.pick is not None
    assert chosen.pick.slices == [(2, 1, 2), (2, 3, 4)]
    assert [(drop.slices, drop.reason) for drop in chosen.drops] == [
        ([(2, 0, 1)], "opted_out"),
        ([(2, 2, 3)], "held_for_review"),
    ]


def test_a_pick_looks_at_no_more_recipients_than_messages() -> None:
    desk = Desk()
    asked: list[int] = []

    def everybody(numbers: list[int]) -> list[str]:
        asked.extend(numbers)
        return ["opted_out"] * len(numbers)

    desk.log.add(work(list(range(100))))
    chosen = desk.pick(messages=10, segments=3, out=everybody)
    assert chosen is not None
    assert chosen.pick is None
    assert chosen.drops[0].slices == [(2, 0, 10)]
    assert len(asked) == 10


def test_after_the_deadline_all_that_is_due_expires_in_records_of_bounded_size() -> None:
    desk = Desk(deadline=50)
    for first in range(0, EXPIRED_AT_ONCE + 500, 500):
        ordinals = list(range(2 * first, 2 * first + 500))
        desk.log.add(work(ordinals, dues=[(1, n % 40) for n in range(500)]))
    seen = 0
    while (chosen := desk.pick(now=50)) is not None:
        assert chosen.pick is None
        (drop,) = chosen.drops
        assert (drop.state, drop.reason, chosen.segments) == ("expired", "deadline", 0)
        assert len(encode(drop)) < 200_000
        LANES.decode(encode(drop))
        seen += len(drop.slices)
        desk.log.add(drop)
        desk.picked.discard(drop.slices)
    assert seen == EXPIRED_AT_ONCE + 500
    assert desk.log.state.waiting == 0


def test_the_higher_class_is_picked_first() -> None:
    desk = Desk(priority="bulk")
    desk.log.add(control(B, priority="urgent"))
    desk.log.add(work([0]))
    desk.log.add(work([1], B))
    chosen = desk.pick()
    assert chosen is not None
    assert chosen.pick is not None
    assert chosen.pick.campaign == B


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sets(st.integers(0, 39)),
    st.lists(st.booleans(), min_size=80, max_size=80),
)
def test_every_recipient_is_picked_once_within_the_limits(
    sizes: list[int], messages: int, segments: int, out: set[int], read_back: list[bool]
) -> None:
    """Whether records are read back at once or later, each recipient is in one record, in order."""
    desk = Desk()
    cut = len(sizes) // 2
    ordinals = list(range(len(sizes)))
    desk.log.add(work(ordinals[cut:], segments=sizes[cut:]))
    if cut:
        desk.log.add(work(ordinals[:cut], segments=sizes[:cut]))
    order = ordinals[cut:] + ordinals[:cut]
    places = {(2, n): o for n, o in enumerate(ordinals[cut:])} | {(3, n): o for n, o in enumerate(ordinals[:cut])}
    sent: list[int] = []
    dropped: list[int] = []
    for turn in range(81):
        chosen = desk.pick(messages, segments, opted_out(*out))
        if chosen is None:
            break
        going = [
            places[c, p] for c, low, high in (chosen.pick.slices if chosen.pick else []) for p in range(low, high)
        ]
        assert chosen.segments == sum(sizes[o] for o in going)
        assert chosen.segments <= segments or len(going) == 1
        assert len(going) <= messages
        sent += going
        for record in desk.records(chosen):
            if not isinstance(record, Intent):
                dropped += [places[c, p] for c, low, high in record.slices for p in range(low, high)]
            if read_back[turn % 80]:
                desk.log.add(record)
                desk.picked.discard(record.slices)
    assert sent == [o for o in order if o not in out]
    assert dropped == [o for o in order if o in out]
