"""What a campaign in a request may be: bounded in depth, size and time, in words, whatever way it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from api.web.body import parse
from api.web.refusal import ApiError
from schemas.campaign import CampaignSpec, stored

GOOD: dict[str, Any] = {"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "hi"}]}
TOML = b'name = "x"\n[audience]\nlists = ["a"]\n[[messages]]\ntext = "hi"\n'
LATER = (datetime.now(UTC) + timedelta(days=800)).isoformat()


def refusal(raw: bytes, *, toml: bool) -> str:
    with pytest.raises(ApiError) as caught:
        parse(raw, toml=toml)
    assert caught.value.status == 422
    text = str(caught.value)
    orjson.dumps(caught.value.body)
    assert len(text) < 2000
    return text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"send_at": "9999-12-31T23:59:59"}, "send_at: the year 9999"),
        ({"send_at": "0001-01-01T00:00:00+14:00"}, "send_at: the year 1"),
        ({"deadline": "1999-12-31T00:00:00"}, "deadline: the year 1999"),
        ({"send_at": LATER}, "send_at: "),
        ({"deadline": LATER}, "two years ahead"),
        ({"send_at": 1e300}, "send_at"),
        ({"tags": ["t"] * 51}, "tags"),
        ({"tags": ["t" * 101]}, "tags.0"),
        ({"tags": [""]}, "tags.0"),
        ({"tags": ["\x1b[2Jgone"]}, "control characters"),
        ({"name": "a\x1b]0;x\x07"}, "name: has control characters"),
        ({"name": "a\nb"}, "control characters"),
        ({"messages": [{"text": "a\x00b"}]}, "control characters"),
        ({"messages": [{"text": "a", "links": {"l": "https://x.example/" + "a" * 3000}}]}, "links"),
        ({"opt_out_language": "x" * 201}, "opt_out_language"),
        ({"audience": {"numbers": ["1" * 101]}}, "audience.numbers.0"),
        ({"audience": {"lists": ["a"] * 101}}, "audience.lists"),
        ({"weight": 10**30}, "weight"),
    ],
)
def test_each_bound_says_what_is_wrong(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(json.dumps({**GOOD, **changes}).encode(), toml=False)


DEEP = 20_000


@pytest.mark.parametrize(
    ("raw", "toml"),
    [
        (TOML + b"x = " + b"[" * DEEP + b"]" * DEEP, True),
        (b"x = " + b"{a=" * DEEP + b"1" + b"}" * DEEP, True),
        (b".".join([b"a"] * DEEP) + b" = 1\n" + TOML, True),
        (b"[" + b".".join([b"a"] * DEEP) + b"]\n", True),
        (b"[" * DEEP + b"]" * DEEP, False),
        (b'{"a":' * 900 + b"1" + b"}" * 900, False),
        (b"name = " + b"9" * 5000, True),
        (b"name = 2026-02-31", True),
        (b"\xff\xfe", True),
        (b"", False),
        (b"null", False),
        (b"[]", False),
        (b'"\\ud800"', False),
        (b'{"\\ud800": 1}', False),
    ],
)
def test_what_is_deep_or_garbage_is_refused_in_words(raw: bytes, toml: bool) -> None:
    assert refusal(raw, toml=toml)


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", TOML + b"\n  ", b"[", b"[[", b"x = {", b"x = {y = 1, "])
@pytest.mark.parametrize("key", [b"a", b'"a b"', b"'.'"])
def test_a_dotted_key_that_fills_a_body_is_refused_without_hours_of_parsing(before: bytes, key: bytes) -> None:
    assert "nested more than" in refusal(before + b" . ".join([key] * 300_000) + b" = 1", toml=True)


def test_dots_in_a_text_are_no_dotted_key() -> None:
    dots = ".".join("abcdefghijklmnopqrstuvwxyz")
    text = f'name = "{dots}"\naudience.lists = ["a"]\ntags = ["{dots}"]\nmessages = [{{ text = "{dots}" }}]'
    assert parse(text.encode(), toml=True).name == dots


def test_a_good_one_passes_and_is_read_back_as_it_is() -> None:
    for raw, toml in ((orjson.dumps(GOOD), False), (TOML, True), (b"\xef\xbb\xbf" + TOML, True)):
        spec = parse(raw, toml=toml)
        assert CampaignSpec.model_validate(stored(spec)) == spec
    at = (datetime.now(UTC) + timedelta(days=700)).replace(microsecond=123).isoformat()
    spec = parse(orjson.dumps({**GOOD, "send_at": at, "deadline": at}), toml=False)
    assert CampaignSpec.model_validate(stored(spec)) == spec
