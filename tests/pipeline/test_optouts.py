"""The packed set answers as a plain set does, through overlay and merges."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.optouts import OptOuts

SMALL = st.integers(1, 60)


@settings(deadline=None)
@given(st.sets(SMALL), st.lists(st.tuples(SMALL, st.booleans()), max_size=200), st.integers(1, 8))
def test_as_a_plain_set(start: set[int], changes: list[tuple[int, bool]], merge_at: int) -> None:
    packed, plain = OptOuts(sorted(start), merge_at), set(start)
    everybody = list(range(61))[1:]
    for number, out in changes:
        packed.apply(number, out)
        (plain.add if out else plain.discard)(number)
        assert packed.contains(number) == out
    assert packed.contains_many(everybody).tolist() == [number in plain for number in everybody]
    assert len(packed) == len(plain)
    assert packed.contains_many(everybody[::-1]).tolist() == [number in plain for number in everybody[::-1]]


def test_many_changes_end_in_nine_octets_a_number() -> None:
    packed = OptOuts(merge_at=1000)
    flags = packed.nbytes
    numbers = np.random.default_rng(3).integers(10**10, 10**11, 20_000).tolist()
    for number in numbers:
        packed.apply(number, True)
    assert len(packed) == len(set(numbers))
    assert 8 * len(set(numbers)) <= packed.nbytes - flags <= 9 * len(set(numbers))
    assert packed.contains_many(numbers[:500]).all()
    assert not packed.contains_many([number + 10**11 for number in numbers[:500]]).any()


def test_empty() -> None:
    assert OptOuts().contains_many([1, 2]).tolist() == [False, False]
    assert OptOuts([5]).contains_many([]).tolist() == []
