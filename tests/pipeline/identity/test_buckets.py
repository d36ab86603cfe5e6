"""The vectorised buckets are those of the schemas."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.identity.buckets import buckets, hashes
from schemas.ids import bucket

NUMBERS = st.lists(st.integers(1, 999_999_999_999_999), max_size=50)


@given(NUMBERS)
def test_as_one_by_one(numbers: list[int]) -> None:
    assert buckets(numbers).tolist() == [bucket(number) for number in numbers]


@given(NUMBERS)
def test_hashes_name_numbers_and_order_by_bucket(numbers: list[int]) -> None:
    assert len(set(hashes(numbers).tolist())) == len(set(numbers))
    in_order = sorted(numbers, key=lambda number: int(hashes([number])[0]))
    assert buckets(in_order).tolist() == sorted(buckets(numbers).tolist())
