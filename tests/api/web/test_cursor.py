"""Paging by cursor: whatever is made and deleted between two pages, nobody comes twice and nobody is left out."""

from __future__ import annotations

import random

import pytest

from adapters.clickhouse.inbox import Place as InboxPlace
from api.listing import Filter
from api.routes.inbox import read_place, written_place
from api.web.cursor import Place, read, written
from api.web.errors import ApiError
from schemas.campaign import CampaignDocument


def document(created: int, name: str) -> CampaignDocument:
    return CampaignDocument(
        id=name, spec={"name": name}, status="draft", revision=1, created=created, updated=created
    )


def listed(documents: dict[str, CampaignDocument]) -> list[CampaignDocument]:
    return sorted(documents.values(), key=lambda item: (-item.created, item.id))


@pytest.mark.parametrize("seed", range(20))
def test_insertions_and_deletions_repeat_and_lose_nobody(seed: int) -> None:
    chance = random.Random(seed)
    known = {f"a{n:07d}": document(1000 + n // 4, f"a{n:07d}") for n in range(60)}
    stay = set(known)
    seen: list[str] = []
    cursor = ""
    while True:
        wanted = Filter(size=7, after=read(cursor) if cursor else None)
        page, _ = wanted.select(listed(known))
        seen += [item.id for item in page]
        cursor = wanted.next_of(page)
        if not cursor:
            break
        for n in range(5):
            name = f"b{len(known):06d}{n}"
            known[name] = document(chance.randrange(900, 1100), name)
        for name in chance.sample(sorted(stay), 3):
            known.pop(name, None)
            stay.discard(name)
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)


def test_a_page_that_is_full_and_the_last_ends() -> None:
    known = {f"a{n:07d}": document(n, f"a{n:07d}") for n in range(4)}
    first, _ = Filter(size=4).select(listed(known))
    again, _ = Filter(size=4, after=read(Filter(size=4).next_of(first))).select(listed(known))
    assert again == []
    assert Filter(size=4).next_of(again) == ""


@pytest.mark.parametrize("cursor", ["x", "!!", "é", written(Place(1, "")), "MTIz", "A" * 99])
def test_a_cursor_of_another_list_is_refused_with_a_message(cursor: str) -> None:
    with pytest.raises(ValueError, match="take `next`"):
        read(cursor)


def test_the_inbox_reads_its_cursor_back_and_no_other() -> None:
    place = InboxPlace(1_800_000_000_000, 15_550_100_001, "0123456789abcdef")
    assert read_place(written_place(place)) == place
    for other in (
        "x",
        written(Place(1, "a0000001")),
        written(Place(1, "1/x\n")),
        written(Place(1, "99999999999999999/a")),
    ):
        with pytest.raises(ApiError, match="take `next`"):
            read_place(other)
