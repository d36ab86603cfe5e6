"""Characters that force UCS-2 are replaced where that helps, and nothing else is changed."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.content.characters import REPLACEMENTS, lasting_characters, replace_characters, replacements_in
from pipeline.content.outgoing import LinkSigner, compile_lane_message, everywhere
from pipeline.content.segments import count, is_gsm7
from schemas.lane import LaneMessage

BASE = "https://hp.example"
LINKS = ("https://shop.example/a–b", "http://x.example/?q=“it’s”&n=1", "www.shop.example/l’été", "shop.example/a…b")
PIECES = st.one_of(
    st.text("abçé€[ жŁ😀\n", max_size=40),
    st.text("".join(REPLACEMENTS), max_size=8),
    st.sampled_from(("e\u0301", "o\u0308", "👩\u200d🚀", "’s", " ", "…" * 60)),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
WITH_LINKS = st.lists(st.one_of(PIECES, st.sampled_from([f" {link} " for link in LINKS])), max_size=6)


def test_every_replacement_is_in_gsm7_and_replaces_what_is_not() -> None:
    assert len(REPLACEMENTS) > 150
    for character, by in REPLACEMENTS.items():
        assert not is_gsm7(character), f"U+{ord(character):04X}"
        assert is_gsm7(by)
        assert (
            unicodedata.category(character)[0] != "L" or unicodedata.normalize("NFKC", character) == by or by in "'\""
        )


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("It’s “new” – only today…", 'It\'s "new" - only today...'),
        ("50\u00a0% off\u200b now\ttoday`", "50 % off now today'"),
        ("Ｓａｌｅ！\u3000ﬁne", "Sale! fine"),
        ("cafe\u0301 «Zoe\u0308»", None),  # ë is not in GSM-7
        ("cafe\u0301 «Jo\u0308rg»", 'café "Jörg"'),
        ("It’s 😀", None),  # in UCS-2 anyway
        ("👩\u200d🚀 it’s", None),
        ("It’s Łukasz", None),
        ("“https://shop.example/a”…", '"https://shop.example/a"...'),
        ("See https://shop.example/a–b", None),  # the dash is of the link
        ("It’s at shop.example/sale", "It's at shop.example/sale"),
        ("…" * 70, None),  # one segment in UCS-2, two in GSM-7
        ("shop．example", None),
    ],
)
def test_what_is_sent(text: str, sent: str | None) -> None:
    assert replace_characters(["Plain", text, text]) == ["Plain", sent or text, sent or text]


@settings(max_examples=300)
@given(st.lists(TEXTS, max_size=8))
@example(["…" * 70, "’" * 161, "’" * 70 + "…" * 30])
def test_no_text_needs_more_segments_and_a_second_time_changes_nothing(texts: list[str]) -> None:
    sent = replace_characters(texts)
    for before, after in zip(texts, sent, strict=True):
        assert count(after).parts <= count(before).parts
        assert after == before or is_gsm7(after)
        if not lasting_characters(before) and count(before).parts > 1 and "…" not in before:
            assert is_gsm7(after)
    assert replace_characters(sent) == sent


@settings(max_examples=200)
@given(WITH_LINKS)
def test_links_are_left_alone(pieces: list[str]) -> None:
    text = "".join(pieces)
    [sent] = replace_characters([text])
    for link in LINKS:
        assert sent.count(link) >= len(re.findall(rf"(?<!\S){re.escape(link)}(?!\S)", text))


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=10), st.booleans())
def test_segments_counted_are_segments_submitted(rows: list[tuple[str, str]], replaces: bool) -> None:
    message = LaneMessage(text="It’s {name|you}: {link}{city}…", links=["default"], replaces_characters=replaces)
    renderer = compile_lane_message(message)
    columns = {"name": [name for name, _ in rows], "city": [city for _, city in rows]}
    signer = LinkSigner(b"0123456789abcdef", everywhere(BASE))
    texts = renderer.render("0000000a", 0, range(len(rows)), columns, signer)
    assert renderer.segments(columns, len(rows), everywhere(BASE)).tolist() == [count(text).parts for text in texts]
    if not replaces:
        assert all(text.startswith("It’s ") for text in texts)


def test_what_was_replaced_is_named() -> None:
    assert replacements_in("It’s cafe\u0301 … it’s") == {"’": "'", "e\u0301": "é", "…": "..."}
    assert lasting_characters("It’s Łukasz 😀") == ["Ł", "😀"]
