"""People and previews told apart; a recipient counts once."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.feedback.clicks import reason_of, statuses
from schemas.feedback import Click, ClickBatch
from schemas.status import STATUSES
from schemas.wire import encode

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
SAMSUNG = "Mozilla/5.0 (X11; Ubuntu; Linux i686; rv:24.0) Gecko/20100101 Firefox/24.0"


def click(ordinal: int = 1, agent: str = PHONE, method: str = "GET", link: int = 0, at: int = 10) -> Click:
    return Click(ordinal=ordinal, link=link, at=at, method=method, user_agent=agent)


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (PHONE, "person"),
        ("", "person"),
        (SAMSUNG, "bot:samsung-preview"),
        (SAMSUNG + " more", "person"),
        ("Java/11.0.2", "bot:java"),
        ("Mozilla/5.0 JavaFX", "person"),
        ("facebookexternalhit/1.1 Facebot Twitterbot/1.0", "bot:facebook"),
        ("Twitterbot/1.0", "bot:twitter"),
        ("WhatsApp/2.23.20.0", "bot:whatsapp"),
        ("TelegramBot (like TwitterBot)", "bot:telegram"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot:slack"),
    ],
)
def test_who_clicked(agent: str, reason: str) -> None:
    assert reason_of(click(agent=agent)) == reason


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "Prerender", "preview"])
def test_a_prefetch_is_not_a_person(purpose: str) -> None:
    assert reason_of(msgspec.structs.replace(click(), purpose=purpose)) == "bot:prefetch"
    assert reason_of(msgspec.structs.replace(click(), purpose="")) == "person"


def test_a_hit_within_moments_of_the_sending_is_no_person() -> None:
    assert reason_of(click(at=11_499), sent=10_000) == "bot:too_fast"
    assert reason_of(click(at=11_500), sent=10_000) == "person"
    assert reason_of(click(at=9_000), sent=10_000) == "bot:too_fast"
    assert reason_of(click(agent=SAMSUNG, at=11_000), sent=10_000) == "bot:samsung-preview"
    chunk = statuses(ClickBatch(campaign="0000000a", message=0, clicks=[click(3, at=20), click(5, at=20)]), {5: 0})
    assert chunk is not None
    assert [(g.reason, g.ordinals) for g in chunk.groups] == [("person", [3]), ("bot:too_fast", [5])]


def test_head_is_no_person() -> None:
    assert reason_of(click(method="HEAD")) == "bot:head"


def test_a_recipient_counts_once_per_reason() -> None:
    clicks = [click(3, at=12), click(3, SAMSUNG), click(3, link=1), click(5)]
    chunk = statuses(ClickBatch(campaign="0000000a", message=0, clicks=clicks))
    assert chunk is not None
    assert STATUSES.decode(encode(chunk)) == chunk
    assert chunk.at == 12
    assert [(g.state, g.reason, g.ordinals) for g in chunk.groups] == [
        ("clicked", "person", [3, 5]),
        ("clicked", "bot:samsung-preview", [3]),
    ]


def test_an_empty_batch_gives_nothing() -> None:
    assert statuses(ClickBatch(campaign="0000000a", message=0, clicks=[])) is None
