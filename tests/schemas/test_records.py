"""Every record travels and comes back; whatever is not exactly a record of its topic is a decode error."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.samples import samples
from schemas.chunk import FANOUT, RECIPIENTS, FanoutRange, lane_of_ordinal
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes, to_text
from schemas.lane import LANES, Owner, Work
from schemas.status import STATUSES, StatusChunk, StatusGroup
from schemas.wire import Codec, DecodeError, encode

GOOD = samples()
CASES: list[tuple[Codec[Any], bytes]] = [
    (RECIPIENTS, GOOD.recipients),
    (LANES, GOOD.work[1:]),
    (LANES, GOOD.intent[1:]),
    (LANES, GOOD.result[1:]),
    (STATUSES, GOOD.accepted),
]


@pytest.mark.parametrize(("codec", "raw"), CASES)
def test_a_record_comes_back_as_it_was(codec: Codec[Any], raw: bytes) -> None:
    assert orjson.loads(encode(codec.decode(raw))) == orjson.loads(raw)


@pytest.mark.parametrize(("codec", "raw"), CASES)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d | {"v": 2},
        lambda d: d | {"kind": "something-else"},
        lambda d: d | {"surprise": 1},
        lambda d: {k: v for k, v in d.items() if k != "kind"},
        lambda d: [d],
    ],
)
def test_another_version_kind_or_field_is_refused(codec: Codec[Any], raw: bytes, spoil: Any) -> None:
    with pytest.raises(DecodeError):
        codec.decode(orjson.dumps(spoil(orjson.loads(raw))))


@pytest.mark.parametrize(("codec", "raw"), CASES)
@given(st.data())
def test_cut_off_bytes_are_refused(codec: Codec[Any], raw: bytes, data: st.DataObject) -> None:
    with pytest.raises(DecodeError):
        codec.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(("codec", "raw"), CASES)
@pytest.mark.parametrize("levels", [1_000, 200_000])
def test_what_is_nested_too_deep_is_refused(codec: Codec[Any], raw: bytes, levels: int) -> None:
    with pytest.raises(DecodeError):
        codec.decode(b'{"surprise":' + b"[" * levels + b"]" * levels + b"," + raw[1:])


@given(st.binary(max_size=200))
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        LANES.decode(raw)


def test_no_value_is_refused() -> None:
    with pytest.raises(DecodeError, match="no value"):
        LANES.decode(None)


@pytest.mark.parametrize("column", ["numbers", "segments", "prices", "zone"])
def test_a_column_of_another_length_is_refused_by_name(column: str) -> None:
    record = orjson.loads(GOOD.work[1:])
    record[column] = record[column][:-1]
    with pytest.raises(DecodeError, match=column):
        LANES.decode(orjson.dumps(record))


@pytest.mark.parametrize(
    "spoil",
    [
        {"dues": [[1, 5]]},
        {"numbers": [10**15] * 500},
        {"ordinals": [-1] * 500},
        {"segments": [0] * 500},
        {"zone": [7] * 500},
        {"campaign": "NOT-ONE!"},
    ],
)
def test_values_out_of_their_range_are_refused(spoil: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        LANES.decode(orjson.dumps(orjson.loads(GOOD.work[1:]) | spoil))


def test_too_many_recipients_are_refused() -> None:
    work = orjson.loads(GOOD.work[1:])
    for name in ("ordinals", "numbers", "segments", "prices", "zone"):
        work[name] = work[name] * 2
    work["fields"] = {name: column * 2 for name, column in work["fields"].items()}
    work["dues"] = [[1000, 5]]
    with pytest.raises(DecodeError, match="1 to 500"):
        LANES.decode(orjson.dumps(work))


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(DecodeError, match="empty range"):
        FANOUT.decode(b'{"kind":"range","campaign":"0000bare","revision":1,"message":0,"first":5,"last":5}')


def test_numpy_columns_are_encoded() -> None:
    group = StatusGroup(state="queued", ordinals=np.arange(3, dtype=np.uint32))  # type: ignore[arg-type]
    back = STATUSES.decode(encode(StatusChunk(campaign="0000bare", message=0, at=1, groups=[group])))
    assert isinstance(back, StatusChunk)
    assert back.groups[0].ordinals == [0, 1, 2]


@given(st.one_of(st.none(), st.binary(max_size=50)))
def test_a_dead_letter_keeps_the_bytes_as_they_came(raw: bytes | None) -> None:
    letter = DeadLetter(
        topic="lanes",
        partition=1,
        offset=2,
        step="s",
        reason="step_failed",
        error="e",
        at=3,
        key=None,
        value=to_text(raw),
    )
    back = DEAD_LETTERS.decode(encode(letter))
    assert isinstance(back, DeadLetter)
    assert (to_bytes(back.value), back.origin) == (raw, "lanes/1/2")


def test_an_ordinal_keeps_its_lane_and_a_chunk_lies_in_one() -> None:
    lanes = (3, 5, 6)
    assert {lane_of_ordinal(ordinal, lanes) for ordinal in range(500)} == {3}
    assert [lane_of_ordinal(first, lanes) for first in range(0, 2000, 500)] == [3, 5, 6, 3]


def test_defaults_carry_the_version() -> None:
    assert orjson.loads(encode(Owner(worker="w", nonce="n", at=1)))["v"] == 1
    assert FanoutRange(campaign="0000bare", revision=1, message=0, first=0, last=1).v == 1
    assert Work.__struct_config__.tag == "work"
