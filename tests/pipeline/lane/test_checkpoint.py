"""Checkpoints: what is loaded is what was saved, and only a whole one is loaded."""

from __future__ import annotations

import base64
import hashlib

import pytest
from pyroaring import BitMap

from pipeline.lane.checkpoint import FORM, Loader, is_checkpoint, parts, restore, snapshot, stream, worth_it
from pipeline.lane.state import LaneState
from pipeline.sending.unknown.ask import result_without_answer
from schemas.lane import LANES, CheckpointPart
from schemas.lane import ResultGroup as Group
from schemas.wire import DecodeError, encode
from tests.pipeline.lane.model import plain
from tests.pipeline.lane.records import A, B, Log, control, flight_of, intent, owner, result, work


def busy_lane() -> Log:
    """Something of everything: waiting, retried, in flight, orphaned, resent and settled elsewhere."""
    log = Log()
    log.add(control(A))
    log.add(control(B, unknown="resend"))
    log.add(owner())
    log.add(work([0, 1, 2, 3, 4, 5], A, [(4, 0), (2, 900)]))
    log.add(work([0, 1, 2, 3], B))
    log.add(intent(3, [(3, 0, 2)]))
    log.add(intent(3, [(4, 0, 2)], B))
    first = log.end - 1
    log.add(owner("second"))
    epoch = log.end
    log.add(intent(epoch, [(3, 2, 4)]))
    log.add(result(log.end - 1, Group(outcome="retry", indices=[0], due=70), Group(outcome="accepted", indices=[1])))
    log.add(intent(epoch, [(4, 0, 3)], B))
    log.add(owner("third"))
    log.add(intent(log.end, [(4, 0, 1)], B))
    log.add(result(first, Group(outcome="accepted", indices=[0]), Group(outcome="unknown", indices=[1])))
    return log


def load(records: list[CheckpointPart], start: int) -> list[LaneState | None]:
    loader = Loader(start)
    answers = []
    for record in records:
        read = LANES.decode(encode(record))
        assert isinstance(read, CheckpointPart)
        answers.append(loader.offer(read))
    return answers


@pytest.mark.parametrize("part_bytes", [1, 50, 10**6])
def test_what_is_loaded_is_what_was_saved(part_bytes: int) -> None:
    log = busy_lane()
    assert any(flight.settled for flight in log.state.flights.values())
    assert any(flight.resent for flight in log.state.flights.values())
    records = parts(snapshot(log.state, 0), 9, part_bytes)
    *before, loaded = load(records, log.end)
    assert before == [None] * (len(records) - 1)
    assert loaded is not None
    assert plain(loaded) == plain(log.state)
    assert snapshot(loaded, 0) == snapshot(log.state, 0)


def test_a_snapshot_does_not_change_with_the_lane() -> None:
    log = busy_lane()
    saved = snapshot(log.state, 0)
    expected = plain(restore(saved))
    log.add(work([70, 71], A))
    log.add(owner("fourth"))
    log.add(control(B, "canceled", 2))
    assert plain(restore(saved)) == expected


def test_a_torn_checkpoint_and_one_of_another_place_are_not_loaded() -> None:
    log = busy_lane()
    records = parts(snapshot(log.state, 0), 9, 60)
    assert len(records) > 3
    assert not any(load(records[:-1], log.end))
    assert not any(load(records[1:], log.end))
    assert not any(load(records, log.end - 1))


def test_parts_of_several_checkpoints_may_be_mixed_and_come_twice() -> None:
    log = busy_lane()
    item = parts(snapshot(log.state, 0), 9, 60)
    other = parts(snapshot(log.state, 10**12), 9, 60)
    mixed = [part for pair in zip(item[:2], other[:2], strict=True) for part in pair]
    answers = load([*mixed, item[0], item[1], *item[1:]], log.end)
    assert answers[-1] is not None
    assert not any(answers[:-1])


def test_a_part_that_is_not_what_it_was_is_not_loaded() -> None:
    log = busy_lane()
    for payload in ("%%%", base64.b64encode(b"another").decode()):
        records = parts(snapshot(log.state, 0), 9, 60)
        records[1].payload = payload
        assert not any(load(records, log.end))


def test_bytes_with_the_right_digest_that_are_no_checkpoint_are_an_error() -> None:
    raw = b"\x04\x00\x00\x00@abcd"
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    payload = base64.b64encode(raw).decode()
    record = CheckpointPart(
        form=FORM, epoch=1, as_of=5, identity="x", part=0, parts=1, digest=digest, payload=payload
    )
    with pytest.raises(DecodeError, match="checkpoint as of 5"):
        load([record], 5)


def test_old_orphans_are_left_out_with_the_chunks_only_they_need() -> None:
    log = Log()
    log.add(control(A))
    log.add(owner())
    log.add(work([0], A))
    log.add(intent(2, [(2, 0, 1)], at=100))
    log.add(owner())
    assert len(restore(snapshot(log.state, 101)).flights) == 1, "somebody waits for its owner"
    log.add(result_without_answer(log.state.flights[flight_of(3)], 9))
    assert len(restore(snapshot(log.state, 100)).chunks) == 1
    late = restore(snapshot(log.state, 101))
    assert (late.chunks, late.flights, late.live_bytes) == ({}, {}, 0)


def test_a_checkpoint_is_worth_it_when_the_log_is_as_large_as_the_live_chunks() -> None:
    assert not worth_it(99, 100, 10)
    assert worth_it(100, 100, 10)
    assert not worth_it(200, 10, 300)


def test_what_is_streamed_is_the_whole_in_parts_of_the_size_asked_for() -> None:
    log = Log()
    log.add(control(A))
    log.add(owner())
    for n in range(200):
        log.add(work([5 * n, 5 * n + 1, 5 * n + 3], A, [(2, n), (1, 900)]))
    saved = snapshot(log.state, 0)
    largest = max(len(chunk.packed) for chunk in log.state.chunks.values())
    for part_bytes in (largest, 2000, 20_000):
        records = list(stream(saved, 1, part_bytes))
        assert all(len(base64.b64decode(record.payload)) <= part_bytes + 1000 for record in records)
        assert [record.parts for record in records] == [0] * (len(records) - 1) + [len(records)]
        *_, loaded = load(records, log.end)
        assert loaded is not None
        assert plain(loaded) == plain(log.state)


def test_making_a_part_does_not_make_the_next_ones() -> None:
    log = busy_lane()
    records = stream(snapshot(log.state, 0), 1, 1)
    first = next(records)
    assert (first.part, first.parts) == (0, 0)
    assert load([first, *records], log.end)[-1] is not None


def test_a_large_set_of_seen_ordinals_is_cut_and_put_together_again() -> None:
    log = busy_lane()
    log.state.seen[A, 0] |= BitMap(range(0, 20_000_000, 3))
    records = parts(snapshot(log.state, 0), 1)
    assert len(records) > 3
    *_, loaded = load(records, log.end)
    assert loaded is not None
    assert loaded.seen == log.state.seen


@pytest.mark.parametrize("form", [1, FORM - 1, FORM + 1])
def test_a_checkpoint_of_another_form_is_refused(form: int) -> None:
    log = busy_lane()
    record = parts(snapshot(log.state, 0), 1)[0]
    record.form = form
    with pytest.raises(DecodeError, match=f"form {form}; this version reads {FORM}"):
        load([record], log.end)


def test_records_of_a_checkpoint_are_recognized_by_their_bytes() -> None:
    log = busy_lane()
    assert all(is_checkpoint(encode(part)) for part in parts(snapshot(log.state, 0), 1, 50))
    others = [*log.raws, b"", b"{", b"[]", b"\xff", b'{"kind":7}', b'{"x":' + b"[" * 200_000]
    assert not any(is_checkpoint(raw) for raw in others)
