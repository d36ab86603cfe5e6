"""What eligibility counts is what the lane submits, character for character where it matters."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.content.outgoing import LinkSigner, compile_lane_message, everywhere
from pipeline.content.segments import count
from pipeline.identity.tokens import parse_click_token
from schemas.lane import LaneMessage

KEY = b"0123456789abcdef"
BASE = "https://hp.example"
TEMPLATE = "Hi {name|there}, {city}: {link} {link:b} {link}"

VALUES = st.text("abç[é€ жÅ😀{}", max_size=90)
COLUMNS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30)


@settings(max_examples=100)
@given(COLUMNS, st.sampled_from([TEMPLATE, "{name} {link:b}", "{city}", "é {link}" * 5]), st.integers(0, 2**32 - 50))
def test_segments_counted_are_segments_submitted(rows: list[tuple[str, str]], text: str, first: int) -> None:
    renderer = compile_lane_message(LaneMessage(text=text, links=["b", "default"]))
    columns = {"name": [name for name, _ in rows], "city": [city for _, city in rows]}
    ordinals = list(range(first, first + len(rows)))
    texts = renderer.render("0000000a", 3, ordinals, columns, LinkSigner(KEY, everywhere(BASE)))
    assert renderer.segments(columns, len(rows), everywhere(BASE)).tolist() == [count(text).parts for text in texts]


def test_links_hold_genuine_tokens_with_the_index_of_the_link() -> None:
    renderer = compile_lane_message(LaneMessage(text=TEMPLATE, links=["b", "default"]))
    [_, text] = renderer.render("0000000a", 3, [500, 501], {"name": ["Ann", ""]}, LinkSigner(KEY, everywhere(BASE)))
    assert text.startswith("Hi there, : https://hp.example/c/")
    tokens = [parse_click_token(KEY, token) for token in re.findall(r"hp\.example/c/(\S+)", text)]
    assert tokens == [("0000000a", 3, 501, 1), ("0000000a", 3, 501, 0), ("0000000a", 3, 501, 1)]


def test_a_link_that_is_not_named_is_refused() -> None:
    with pytest.raises(ValueError, match="not in list"):
        compile_lane_message(LaneMessage(text="{link}", links=["b"]))
