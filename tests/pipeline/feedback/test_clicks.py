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
        ("", "bot:unlisted"),
        (SAMSUNG, "bot:samsung-preview"),
        (SAMSUNG + " more", "person"),
        ("Java/11.0.2", "bot:java"),
        ("Mozilla/5.0 JavaFX", "bot:unlisted"),
        ("facebookexternalhit/1.1 Facebot Twitterbot/1.0", "bot:facebook"),
        ("Twitterbot/1.0", "bot:twitter"),
        ("WhatsApp/2.23.20.0", "bot:whatsapp"),
        ("TelegramBot (like TwitterBot)", "bot:telegram"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "bot:slack"),
    ],
)
def test_who_clicked(agent: str, reason: str) -> None:
    assert reason_of(click(agent=agent)) == reason


DESKTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0"
ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    "agent",
    [
        "",
        " ",
        "-",
        "null",
        "okhttp/4.12.0",
        "python-httpx/0.27.0",
        "Shop/1 CFNetwork/1494.0.7 Darwin/23.4.0",
        "Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B)",
        "Mozilla/5.0",
        "Mozilla/4.0 (compatible)",
        "PostmanRuntime/7.39",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Mozilla/5.0 (compatible; bitlybot/3.0)",
        "Iframely/1.3.1 (+https://iframely.com/docs/about)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0)",
        f"{DESKTOP} Safari/537.36 urlscan.io",
        f"{DESKTOP} Safari/537.36 VirusTotalCloud",
        f"{ANDROID} Google-PageRenderer",
        "AppEngine-Google; (+http://code.google.com/appengine; appid: s~virustotalcloud)",
        f"{DESKTOP} (SomeNewBot)",
        f"{DESKTOP} Safari/537.36 (compatible; NewService; +https://new.example/about)",
        "Ruby",
        "HTTPie/3",
        "Faraday v2.9",
    ],
)
def test_who_is_no_browser_or_calls_itself_a_bot_is_a_machine(agent: str) -> None:
    assert reason_of(click(agent=agent)).startswith("bot:")


@pytest.mark.parametrize(
    "agent",
    [
        f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1",
        f"{IPHONE} CriOS/138.0.7204.53 Mobile/15E148 Safari/604.1",
        f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
        f"{IPHONE} EdgiOS/138.0.3351.65 Version/18.0 Mobile/15E148 Safari/604.1",
        f"{IPHONE} GSA/375.0.775 Mobile/15E148 Safari/604.1",
        f"{IPHONE} Mobile/22F76 Instagram 386.0.0.32.87 (iPhone15,4; iOS 18_5; en_US; en; scale=3.00; 1179x2556; 1)",
        f"{IPHONE} Mobile/22F76 [FBAN/FBIOS;FBAV/517.0.0.36.103;FBDV/iPhone15,4;FBMD/iPhone;FBSN/iOS;FBSV/18.5]",
        f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.60(0x18003c32) NetType/WIFI Language/en",
        f"{IPHONE} Mobile/15E148 Safari Line/15.9.0",
        f"{IPHONE} Mobile/15E148 musical_ly_39.8.0 BytedanceWebview/d8a21c6",
        f"{IPHONE} Version/18.5 DuckDuckGo/7 Mobile/15E148 Safari/605.1.15",
        "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
        f"{ANDROID} Chrome/138.0.0.0 Mobile Safari/537.36",
        f"{ANDROID} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
        f"{ANDROID} Version/4.0 Chrome/138.0.7204.63 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/520.0.0.42.96;]",
        f"{ANDROID} Version/4.0 Chrome/138.0.7204.63 Mobile Safari/537.36 Instagram 388.0.0.26.109 Android",
        f"{ANDROID} Chrome/138.0.0.0 Mobile Safari/537.36 OPR/90.0.0.0",
        f"{ANDROID} Chrome/138.0.0.0 Mobile Safari/537.36 EdgA/138.0.0.0",
        "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
        "Mozilla/5.0 (Linux; U; Android 13; en-us; Redmi Note 12) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.4.0",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari",
        "Mozilla/5.0 (Linux; Android 10; CUBOT_NOTE_20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile",
        "Mozilla/5.0 (Mobile; Nokia 8110 4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
        "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
        f"{DESKTOP} Safari/537.36", f"{DESKTOP} Safari/537.36 Edg/138.0.0.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "mozilla/5.0 (iphone; cpu iphone os 18_5 like mac os x) version/18.5 safari/604.1",
    ],
)  # fmt: skip
def test_browsers_of_people_stay_people(agent: str) -> None:
    assert reason_of(click(agent=agent)) == "person"


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
