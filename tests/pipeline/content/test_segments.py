"""Segment counts: vectors after 3GPP TS 23.038 and 23.040, and every text against a packer that is slow and plainly
right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.content.segments import BASIC, EXTENSION, Segments, count, count_many


def _tokens(text: str) -> tuple[str, list[int]]:
    """Encoding and the size in units of each thing that may not be cut."""
    if all(char in BASIC or char in EXTENSION for char in text):
        return "gsm7", [2 if char in EXTENSION else 1 for char in text]
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return "ucs2", [2 if ord(char) > 0xFFFF else 1 for char in whole]


def reference(text: str) -> Segments:
    """Puts one uncuttable thing after the other into the current part, opens a new one when it is full."""
    encoding, sizes = _tokens(text)
    single, room = (160, 153) if encoding == "gsm7" else (70, 67)
    if sum(sizes) <= single:
        return Segments(encoding, sum(sizes), 1)  # type: ignore[arg-type]
    parts, used = 1, 0
    for size in sizes:
        if used + size > room:
            parts, used = parts + 1, 0
        used += size
    return Segments(encoding, sum(sizes), parts)  # type: ignore[arg-type]


VECTORS = [
    ("", "gsm7", 0, 1),
    ("a" * 160, "gsm7", 160, 1),
    ("a" * 161, "gsm7", 161, 2),
    ("a" * 306, "gsm7", 306, 2),
    ("a" * 307, "gsm7", 307, 3),
    ("a" * 152 + "{" + "a" * 152, "gsm7", 306, 3),
    ("a" * 153 + "{" + "a" * 151, "gsm7", 306, 2),
    ("€" * 80, "gsm7", 160, 1),
    ("€" * 153, "gsm7", 306, 3),
    ("ж" * 70, "ucs2", 70, 1),
    ("ж" * 71, "ucs2", 71, 2),
    ("ж" * 66 + "😀" + "ж" * 66, "ucs2", 134, 3),
    ("ж" * 67 + "😀" + "ж" * 65, "ucs2", 134, 2),
    ("😀" * 35, "ucs2", 70, 1),
    ("`" * 160, "ucs2", 160, 3),
    ("ç" * 160, "ucs2", 160, 3),
    ("Ç" * 160, "gsm7", 160, 1),
    ("\f", "gsm7", 2, 1),
    ("\x1b", "ucs2", 1, 1),
    ("\t", "ucs2", 1, 1),
    ("ΔΦΓΛΩΠΨΣΘΞ", "gsm7", 10, 1),
    ("\ud83d", "ucs2", 1, 1),
]


@pytest.mark.parametrize(("text", "encoding", "units", "parts"), VECTORS)
def test_vectors(text: str, encoding: str, units: int, parts: int) -> None:
    assert count(text) == (encoding, units, parts)
    assert count_many([text]).tolist() == [parts]


def test_the_alphabet_has_127_characters_without_escape_and_ten_extensions() -> None:
    assert len(BASIC) == len(set(BASIC)) == 127
    assert len(EXTENSION) == len(set(EXTENSION)) == 10
    assert not set(BASIC) & set(EXTENSION)


_CHARACTERS = st.one_of(
    st.sampled_from(BASIC),
    st.sampled_from(EXTENSION),
    st.characters(exclude_categories=[]),
    st.sampled_from("жç`😀\ud83d\ude00\u200d"),
)
_GSM7_TEXT = st.text(st.sampled_from("a{€é^Δ"), max_size=12)
_TEXTS = st.one_of(
    st.text(_CHARACTERS, max_size=40),
    _GSM7_TEXT,
    # Long ones, built so that pairs fall on and about the ends of parts.
    st.builds(
        lambda run, times, tail, more: run * times + tail + more,
        st.sampled_from(["a", "ж", "a{", "€", "😀", "ж😀", "aaж", "\ud83d\ude00"]),
        st.integers(0, 330),
        _GSM7_TEXT,
        st.text(_CHARACTERS, max_size=4),
    ),
)


@given(_TEXTS)
@example("a" * 152 + "{" * 153 + "a" * 152)
@example("ж" * 66 + "\ud83d" + "\ude00" + "ж" * 66)
def test_count_equals_the_packer(text: str) -> None:
    assert count(text) == reference(text)


@given(st.lists(_TEXTS, max_size=6))
@example([])
@example(["", "a" * 161, "", "ж" * 71, ""])
@example(["a" * 300, "b" * 160])
def test_count_many_equals_the_packer(texts: list[str]) -> None:
    parts = count_many(texts)
    assert parts.dtype == np.uint16
    assert parts.tolist() == [reference(text).parts for text in texts]


def test_a_text_too_long_for_the_packed_sums_is_still_counted() -> None:
    text = "ж" * (1 << 21)
    assert count_many([text, "a"]).tolist() == [-(-(1 << 21) // 67), 1]


def test_one_odd_text_does_not_change_the_others() -> None:
    texts = ["a" * 161] * 400 + ["ж"] + ["€" * 153] * 99
    assert count_many(texts).tolist() == [2] * 400 + [1] + [3] * 99
