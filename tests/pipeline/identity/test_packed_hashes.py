"""The packed hashes answer as a plain set does, however its members lie and whatever comes and goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.identity import packed_hashes
from pipeline.identity.packed_hashes import PackedHashes

LAST = 2**64 - 1
ANY = st.integers(0, LAST)
CROWDED = st.integers(2**40, 2**40 + 50) | st.integers(LAST - 20, LAST) | st.integers(0, 20)
"""Many in one slot, and those at both ends."""
MEMBERS = st.sets(ANY | CROWDED, max_size=120)


def packed(members: set[int]) -> PackedHashes:
    return PackedHashes(np.array(sorted(members), np.uint64))


def as_plain(packed: PackedHashes, plain: set[int], others: set[int]) -> None:
    around = {(member + step) % (LAST + 1) for member in plain for step in (-1, 0, 1)}
    asked = list(around | others)
    assert packed.contains(np.array(asked, np.uint64)).tolist() == [item in plain for item in asked]
    assert len(packed) == len(plain)


@settings(deadline=None)
@given(MEMBERS, MEMBERS, st.lists(MEMBERS, max_size=4), st.sampled_from([1, 7, 1 << 19]))
def test_as_a_plain_set(start: set[int], others: set[int], turns: list[set[int]], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_hashes, "_BLOCK", block)
        actual, plain = packed(start), set(start)
        as_plain(actual, plain, others)
        for toggled in turns:
            gone, come = sorted(toggled & plain), sorted(toggled - plain)
            actual.change(np.array(gone, np.uint64), np.array(come, np.uint64))
            plain ^= toggled
            as_plain(actual, plain, others | toggled)


def test_a_hundred_thousand_come_and_half_go() -> None:
    draw = np.random.default_rng(5)
    everybody = np.unique(draw.integers(0, LAST, 200_000, dtype=np.uint64))
    there, come = everybody[::2], everybody[1::2]
    actual = PackedHashes(there)
    for chosen in np.array_split(come, 9):
        actual.change(np.array([], np.uint64), chosen)
    assert actual.contains(everybody).all()
    gone = np.sort(draw.permutation(everybody)[:100_000])
    for chosen in np.array_split(gone, 9):
        actual.change(chosen, np.array([], np.uint64))
    assert (actual.contains(everybody) == ~np.isin(everybody, gone)).all()
    assert actual.nbytes <= 9 * len(actual)
