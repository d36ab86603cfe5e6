"""What a draft lacks is exactly what stands between it and a campaign that can be launched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.campaign.completeness import complete, missing_parts, missing_senders
from schemas.campaign import CampaignSpec, DraftSpec, stored
from tests.accounts import book

BOOK = book("""
[accounts.demo.senders.main]
number = "+18885550100"
""")

AT = datetime.fromisoformat("2026-12-01T10:00:00")


def drafts() -> st.SearchStrategy[DraftSpec]:
    names = st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True)
    message = st.fixed_dictionaries({}, optional={"text": st.sampled_from(["", "  ", "Hi"])})
    fields = {
        "audience": st.fixed_dictionaries({}, optional={"lists": names, "numbers": st.just(["+12125550123"])}),
        "messages": st.lists(message, max_size=1),
        "send_at": st.sampled_from([None, AT]),
        "local_time": st.booleans(),
    }
    return st.fixed_dictionaries({"name": st.just("Sale")}, optional=fields).map(DraftSpec.model_validate)


@given(drafts())
def test_a_draft_is_complete_exactly_when_nothing_is_missing(draft: DraftSpec) -> None:
    assert DraftSpec.model_validate(stored(draft)) == draft
    outcome, missing = complete(draft), tuple(missing_parts(draft))
    if isinstance(outcome, CampaignSpec):
        assert not missing
        assert outcome == CampaignSpec.model_validate(stored(draft))
        return
    assert outcome == missing
    with pytest.raises(ValidationError) as refused:
        CampaignSpec.model_validate(stored(draft))
    places = {".".join(map(str, error["loc"])) for error in refused.value.errors()} - {""}
    assert all(any(part.where.startswith(place) for part in missing) for place in places)


def where(**fields: Any) -> list[str]:
    return [part.where for part in missing_parts(DraftSpec.model_validate({"name": "Sale", **fields}))]


def test_each_thing_is_named() -> None:
    assert where() == ["audience", "messages"]
    assert where(audience={"lists": ["a"]}, messages=[{}]) == ["messages.0.text"]
    assert where(audience={"numbers": ["1"]}, messages=[{"text": "Hi"}], local_time=True) == ["send_at"]
    for part in missing_parts(DraftSpec(name="Sale")):
        assert part.what
        assert part.fix


@pytest.mark.parametrize(
    "wrong",
    [
        {"audience": {"lists": ["No such name"]}},
        {"messages": [{"text": "a\x00b"}]},
        {"messages": [{"links": {"default": "no address"}}]},
        {"local_time": True, "send_at": "2026-12-01T10:00:00Z"},
        {"pool": ["main"]},
        {"key": "Not a name"},
        {"colour": "red"},
        {"name": ""},
    ],
)
def test_what_is_there_is_checked_all_the_same(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DraftSpec.model_validate({"name": "Sale", **wrong})


def test_account_and_senders_may_come_later_and_are_named_until_then() -> None:
    def missing(**fields: Any) -> list[tuple[str, str]]:
        draft = DraftSpec.model_validate({"name": "Sale", **fields})
        return [(part.where, part.what) for part in missing_senders(BOOK, draft)]

    assert missing() == []
    assert missing(account="shop") == [("account", "there is no account 'shop'")]
    assert missing(sender="second", pool=["main", "third"]) == [
        ("sender", "account 'demo' has no sender 'second'"),
        ("pool.1", "account 'demo' has no sender 'third'"),
    ]
    (absent,) = missing_senders(BOOK, DraftSpec(name="Sale", account="shop"))
    assert "demo" not in absent.fix, "a key that is bound to accounts is not told of others"
