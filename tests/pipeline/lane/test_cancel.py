"""A cancel of many: the lane is free at once, and what is said of them comes piece by piece and is complete."""

from __future__ import annotations

from itertools import islice

from pipeline.lane.effects import InBatches
from pipeline.lane.release import MOST
from schemas.chunk import Release
from schemas.status import StatusChunk
from tests.pipeline.lane.records import A, B, Log, control, intent, owner, work

CHUNKS = 45


def full_lane() -> Log:
    """500 wait in each of `CHUNKS` chunks of A, but ten that are in flight; and one chunk of B."""
    log = Log()
    log.add(control(A))
    log.add(control(B))
    log.add(owner())
    for n in range(CHUNKS):
        log.add(work(list(range(500 * n, 500 * n + 500)), A, segments=[1 + k % 2 for k in range(500)]))
    log.add(work([1, 2], B))
    log.add(intent(3, [(3, 240, 250)]))
    return log


def test_the_lane_is_free_before_the_first_status_and_all_statuses_follow() -> None:
    log = full_lane()
    effects = log.add(control(A, "canceled", 2))
    assert (log.state.waiting, {chunk.key[0] for chunk in log.state.chunks.values()}) == (2, {A, B})
    assert [chunk.offset for chunk in log.state.chunks.values() if chunk.key[0] == A] == [3]
    (item,) = effects
    assert isinstance(item, InBatches)
    log.add(work([3], B))  # the lane goes on meanwhile
    reported = list(item.effects)
    statuses = [effect for effect in reported if isinstance(effect, StatusChunk)]
    assert {group.state for chunk in statuses for group in chunk.groups} == {"canceled"}
    ordinals = [o for chunk in statuses for group in chunk.groups for o in group.ordinals]
    waiting = set(range(500 * CHUNKS)) - set(range(240, 250))
    assert sorted(ordinals) == sorted(waiting)
    for chunk in statuses:
        assert all(group.segments == 1 + o % 2 for group in chunk.groups for o in group.ordinals)
        assert sum(len(group.ordinals) for group in chunk.groups) <= MOST + 500
    numbers = [n for effect in reported if isinstance(effect, Release) for n in effect.numbers]
    assert sorted(numbers) == sorted(12125550000 + ordinal for ordinal in waiting)


def test_only_the_pieces_that_were_asked_for_are_made() -> None:
    log = full_lane()
    (item,) = log.add(control(A, "canceled", 2))
    assert isinstance(item, InBatches)
    first = next(item.effects)
    assert isinstance(first, StatusChunk)
    assert sum(len(group.ordinals) for group in first.groups) < MOST + 500
    assert len(list(islice(item.effects, 3))) == 3


def test_a_cancel_of_few_recipients_is_reported_at_once() -> None:
    log = Log()
    log.add(control(A))
    log.add(work([0, 1], A))
    assert [type(effect) for effect in log.add(control(A, "canceled", 2))] == [StatusChunk, Release]
