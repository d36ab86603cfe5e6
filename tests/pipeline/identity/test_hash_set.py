"""The packed set answers as a plain set does, through overlay and merges."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.identity.buckets import hash_of, hashes
from pipeline.identity.hash_set import HashSet

SMALL = st.integers(1, 60)


@settings(deadline=None)
@given(st.sets(SMALL), st.lists(st.tuples(SMALL, st.booleans()), max_size=200), st.integers(1, 8))
def test_as_a_plain_set(start: set[int], changes: list[tuple[int, bool]], merge_at: int) -> None:
    packed, plain = HashSet(hashes(sorted(start)), merge_at), set(start)
    everybody = list(range(61))[1:]
    for number, is_in in changes:
        packed.apply(hash_of(number), is_in)
        (plain.add if is_in else plain.discard)(number)
        assert packed.contains_many(hashes([number])).tolist() == [is_in]
    assert packed.contains_many(hashes(everybody)).tolist() == [number in plain for number in everybody]
    assert len(packed) == len(plain)
    assert packed.contains_many(hashes(everybody[::-1])).tolist() == [number in plain for number in everybody[::-1]]


def test_many_changes_end_in_nine_octets_a_number() -> None:
    packed = HashSet(merge_at=1000)
    flags = packed.nbytes
    numbers = np.random.default_rng(3).integers(10**10, 10**11, 20_000).tolist()
    for number in numbers:
        packed.apply(hash_of(number), True)
    assert len(packed) == len(set(numbers))
    assert 8 * len(set(numbers)) <= packed.nbytes - flags <= 9 * len(set(numbers))
    assert packed.contains_many(hashes(numbers[:500])).all()
    assert not packed.contains_many(hashes([number + 10**11 for number in numbers[:500]])).any()


def test_empty() -> None:
    assert HashSet().contains_many(hashes([1, 2])).tolist() == [False, False]
    assert HashSet(hashes([5])).contains_many(hashes([])).tolist() == []
    assert HashSet().is_empty
    changed = HashSet()
    changed.apply(hash_of(5), True)
    assert not changed.is_empty
