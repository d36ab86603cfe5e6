"""The live page in a real browser, over a running stack."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from adapters.aggregators import signing
from adapters.clock import now_ms
from cli.client import Client
from tests.api.live import Live, in_minutes

CHROMIUM = "/usr/bin/chromium"
NASTY = "<img src=x onerror=\"document.title='owned'\"> & <b>bold</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(live: Live, browser: Browser) -> Iterator[Page]:
    """The page at 1280 px; any error in its console or request to elsewhere fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    signed_in(live, context)
    page = context.new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda item: wrong.append(item.url) if not item.url.startswith(live.api.url) else None)
    page.goto(live.api.url)
    yield page
    context.close()
    assert not wrong


def signed_in(live: Live, context: BrowserContext) -> None:
    """The browser has the cookie of the stack's first key."""
    answer = context.request.post(f"{live.api.url}/v1/session", data={"by": "key", "secret": live.key})
    assert answer.ok, answer.text()


def test_signing_in_with_a_key_and_out_again(live: Live, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.goto(live.api.url)
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#main")).to_be_hidden()
    page.fill("#s-key", "lw_nonsense")
    page.click("#sign-in-form [type=submit]")
    expect(page.locator("#s-trouble")).to_contain_text("not known, has expired, or was revoked")
    page.fill("#s-key", live.key)
    page.click("#sign-in-form [type=submit]")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("#who")).to_have_text("first")
    assert not page.evaluate("document.cookie"), "no script reads the session"
    page.click("#sign-out")
    expect(page.locator("#sign-in")).to_be_visible()
    context.close()


def test_a_link_signs_in_and_a_revoked_key_out(live: Live, browser: Browser) -> None:
    made = live.api.send("POST", "/v1/keys", b'{"name": "reader", "scopes": ["read"]}')
    link = Client(live.api.url, key=made["secret"]).send("POST", "/v1/session/links")["url"]
    campaign = live.create(name="To be read")["id"]
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.goto(live.api.url)
    expect(page.locator("#sign-in")).to_be_visible()
    page.evaluate("link => { location.href = link; }", link)  # as pasted into the tab that asks for a key
    expect(page.locator("#who")).to_have_text("reader")
    assert "sign-in" not in page.url
    row(page, campaign).click()
    expect(page.locator("#panel h2")).to_have_text("To be read")
    expect(page.locator("#new")).to_be_hidden()
    expect(page.locator("#panel .actions button").first).to_be_hidden()
    live.api.send("DELETE", f"/v1/keys/{made['id']}")
    expect(page.locator("#sign-in")).to_be_visible()
    again = context.new_page()
    again.goto(link)
    expect(again.locator("#s-trouble")).to_contain_text("this sign-in link is used")
    context.close()


def row(page: Page, campaign: str) -> Any:
    return page.locator(f'#rows tr[data-id="{campaign}"]')


def test_a_new_campaign_appears_without_reload_and_is_never_html(live: Live, page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    made = live.create(name=NASTY, tags=["<i>tag</i>"], messages=[{"text": NASTY}])
    expect(row(page, made["id"]).locator(".name")).to_have_text(NASTY)
    row(page, made["id"]).click()
    expect(page.locator("#panel h2")).to_have_text(NASTY)
    expect(page.locator("#panel .message")).to_have_text(NASTY)
    assert page.title() != "owned"
    assert page.locator("#rows img, #panel img, #rows b").count() == 0


def test_a_campaign_that_reached_nobody_is_not_green(live: Live, page: Page) -> None:
    number = "+13055550133"
    live.api.send(
        "POST", "/v1/optouts", orjson.dumps({"numbers": [number], "account": "demo", "evidence": "by post"})
    )
    body = {"audience": {"numbers": [number]}, "messages": [{"text": "Hi"}]}
    made = live.create(name="Nobody", **body)["id"]
    live.api.send("POST", f"/v1/campaigns/{made}/launch", b"", allow_empty=True)
    live.until(made, lambda shown: shown["outcome"] == "reached nobody")
    status = row(page, made).locator(".status")
    expect(status).to_have_attribute("data-s", "nobody", timeout=20_000)
    expect(status).to_contain_text("reached nobody")
    row(page, made).click()
    expect(page.locator("#panel .outcome")).to_contain_text("skipped, most of them because: the recipient opted out")


def test_launch_from_the_page_to_finished_with_all_states(live: Live, page: Page) -> None:
    made = live.create(name="From the page")
    row(page, made["id"]).click()
    page.click('#panel [data-action="launch"]')
    expect(page.locator("#confirm-text")).to_contain_text("recipients will get this message. It takes ")
    page.click("#confirm-yes")
    expect(row(page, made["id"]).locator(".status")).to_have_text("finished", timeout=90_000)
    shown = live.api.get(f"/v1/campaigns/{made['id']}")["figures"]
    for state, count in shown["states"].items():
        cell = page.locator(f'#panel tr[data-state="{state}"] td').nth(1)
        expect(cell).to_have_text(f"{count:,}")
    expect(row(page, made["id"]).locator(".c-residual")).to_have_text("0")
    expect(page.locator("#panel svg.spark, #panel .meta", has_text="s").first).to_be_visible()
    widths = page.eval_on_selector_all(
        f'#rows tr[data-id="{made["id"]}"] .conserve span', "spans => spans.map(s => parseFloat(s.style.width))"
    )
    assert sum(widths) == pytest.approx(100)
    assert page.locator("#panel [data-action]").all_inner_texts() == ["Duplicate"]


def test_pause_resume_and_cancel_with_confirmation(live: Live, page: Page) -> None:
    made = live.create(name="Steered", send_at=in_minutes(10))
    row(page, made["id"]).click()
    page.click('#panel [data-action="launch"]')
    page.click("#confirm-yes")
    status = row(page, made["id"]).locator(".status")
    expect(status).to_have_text("sending", timeout=60_000)
    page.click('#panel [data-action="pause"]')
    expect(status).to_have_text("paused")
    page.click('#panel [data-action="resume"]')
    expect(status).to_have_text("sending")
    page.click('#panel [data-action="cancel"]')
    page.click("#confirm-no")
    expect(status).to_have_text("sending")
    page.click('#panel [data-action="cancel"]')
    page.click("#confirm-yes")
    expect(status).to_have_text("canceled")


def test_a_launch_that_the_review_forbids_cannot_be_confirmed(live: Live, page: Page) -> None:
    made = live.create(name="Forbidden", audience={"lists": ["nowhere"]})
    row(page, made["id"]).click()
    page.click('#panel [data-action="launch"]')
    expect(page.locator("#confirm-text .problem")).to_contain_text("no list 'nowhere'")
    expect(page.locator("#confirm-yes")).to_be_hidden()


def test_search_status_and_clear(live: Live, page: Page) -> None:
    made = live.create(name="Needle in the list", tags=["needle"])
    other = live.create(name="Straw")
    page.fill("#search", "NEEDLE")
    expect(row(page, other["id"])).to_have_count(0)
    expect(row(page, made["id"])).to_be_visible()
    page.select_option("#status", "finished")
    expect(page.locator("#empty")).to_have_text("No campaigns match these filters.")
    page.reload()
    expect(page.locator("#search")).to_have_value("NEEDLE")
    expect(page.locator("#empty")).to_be_visible()
    page.click("#clear")
    expect(row(page, other["id"])).to_be_visible()


def test_create_by_form_fields_and_errors_next_to_them(live: Live, page: Page) -> None:
    page.click("#new")
    page.fill("#f-name", "By hand")
    page.fill("#f-text", "Hello {first_name|there}")
    page.fill("#f-smart", "500")
    page.click("#create [type=submit]")
    expect(page.locator('[data-field="smart_sending_hours"] .fault')).to_contain_text("168")
    page.fill("#f-smart", "8")
    page.fill("#f-lists", "people")
    page.click("#create [type=submit]")
    expect(page.locator("#create")).to_be_hidden()
    expect(page.locator("#panel h2")).to_have_text("By hand")
    page.click('#panel [data-action="edit"]')
    page.fill("#f-name", "By hand, edited")
    page.click("#create [type=submit]")
    expect(page.locator("#panel h2")).to_have_text("By hand, edited")


def test_a_local_time_is_asked_for_kept_and_taken_back(live: Live, page: Page) -> None:
    page.click("#new")
    page.fill("#f-name", "Nine o'clock for everybody")
    page.fill("#f-text", "Good morning")
    page.fill("#f-lists", "people")
    expect(page.locator("#f-sendat")).to_be_hidden()
    page.select_option("#f-when", "local")
    page.click("#create [type=submit]")
    expect(page.locator('[data-field="send_at"] .fault')).to_contain_text("Choose a send time.")
    page.fill("#f-sendat", "2026-12-24T09:00")
    page.select_option("#f-passed", "skip")
    page.fill("#f-deadline", "2026-12-26T12:00")
    page.click("#create [type=submit]")
    expect(page.locator("#panel")).to_contain_text(
        "in each recipient’s local time (skipped if the local time has passed)"
    )
    spec = chosen(live, page)
    assert (spec["local_time"], spec["if_passed"]) == (True, "skip")
    assert (spec["send_at"], spec["deadline"]) == ("2026-12-24T09:00:00", "2026-12-26T12:00:00")
    page.click('#panel [data-action="edit"]')
    expect(page.locator("#f-when")).to_have_value("local")
    expect(page.locator("#f-passed")).to_have_value("skip")
    page.select_option("#f-when", "store")
    expect(page.locator("#f-passed")).to_be_hidden()
    page.click("#create [type=submit]")
    expect(page.locator("#panel")).to_contain_text("at 2026-12-24T09:00:00 · deadline")
    assert chosen(live, page)["local_time"] is False
    page.click('#panel [data-action="edit"]')
    page.select_option("#f-when", "now")
    page.click("#create [type=submit]")
    expect(page.locator("#panel")).to_contain_text("at launch")
    assert chosen(live, page)["send_at"] is None


def chosen(live: Live, page: Page) -> Any:
    """The definition of the campaign whose panel is open."""
    return live.api.get(f"/v1/campaigns/{page.url.rpartition('campaign=')[2]}")["spec"]


def test_replies_show_what_was_said_changed_and_answered_as_it_comes(live: Live, page: Page) -> None:
    person, other = "+12125550191", "+33612345691"
    page.click("#go-replies")
    expect(page.locator("#campaigns")).to_be_hidden()
    texts(live, {"id": "p1", "from": person, "text": "STOP"}, {"id": "p2", "from": other, "text": NASTY})
    stop = page.locator("#i-rows tr", has_text=person).filter(has_text="STOP")
    expect(stop.locator(".c-change")).to_have_text("opted out", timeout=30_000)
    expect(stop.locator(".c-answer")).to_contain_text("You are unsubscribed", timeout=30_000)
    expect(page.locator("#i-rows tr", has_text=other).locator(".c-said")).to_have_text(NASTY)
    assert page.locator("#i-rows img, #i-rows b:not(.out, .in, .held)").count() == 0
    live.api.send("DELETE", "/v1/optouts/" + quote(person), orjson.dumps({"evidence": "phoned us on Monday"}))
    back = page.locator("#i-rows tr", has_text="phoned us on Monday")
    expect(back.locator(".c-change")).to_have_text("opted in", timeout=30_000)
    page.reload()
    expect(stop).to_be_visible()
    page.select_option("#i-what", "stop")
    expect(page.locator("#i-rows tr", has_text=other)).to_have_count(0)
    expect(stop).to_be_visible()
    page.fill("#i-number", "12")
    expect(page.locator("#i-trouble")).to_contain_text("write the number with +")
    page.fill("#i-number", other)
    expect(page.locator("#i-empty")).to_have_text("No replies match these filters.")
    page.click("#i-clear")
    expect(back).to_be_visible()
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.click("#go-campaigns")
    expect(page.locator("#campaigns")).to_be_visible()


def test_an_operator_decides_about_what_may_be_an_opt_out(live: Live, page: Page) -> None:
    stops, stays = "+12125550281", "+12125550282"
    page.click("#go-replies")
    texts(live, *({"id": "d1", "from": item, "text": "Who is this? stop"} for item in (stops, stays)))
    texts(live, {"id": "d2", "from": "Bob’s phone", "text": "STOP"})
    page.select_option("#i-what", "held")
    for number, button in ((stops, "Opt out"), (stays, "Not an opt-out")):
        line = page.locator("#i-rows tr", has_text=number)
        expect(line.locator(".c-change b")).to_have_text("held", timeout=30_000)
        expect(line.locator(".grounds")).to_contain_text("by rule")
        line.get_by_role("button", name=button, exact=True).click()
        expect(line).to_have_count(0, timeout=30_000)
    page.select_option("#i-what", "changes")
    expect(page.locator("#i-rows tr", has_text=stops).locator(".c-change b.out")).to_have_count(1, timeout=30_000)
    expect(page.locator("#i-rows tr", has_text=stops).filter(has_text="decided by page")).to_have_count(2)
    page.select_option("#i-what", "unread")
    said = page.locator("#i-rows tr", has=page.locator("[title$='ID d2']")).locator(".c-said")
    expect(said).to_contain_text("STOP")


def texts(live: Live, *said: dict[str, str]) -> None:
    """Texts of people, as the aggregator posts them to the ingress."""
    sender = live.sender()
    body = orjson.dumps({"texts": [{"to": sender.number, **item} for item in said]})
    secret = live.settings.aggregators[sender.aggregator].secret.get_secret_value().encode()
    headers = {**signing.signed(secret, now_ms(), body), "Content-Type": "application/json"}
    url = f"{live.settings.ingress.url}/v1/inbound/{sender.aggregator}"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        assert answer.status == 202


def test_create_by_toml_with_the_line_of_an_error(live: Live, page: Page) -> None:
    page.click("#new")
    page.click("#tab-toml")
    page.fill("#f-toml", 'name = "x"\nbroken')
    page.click("#create [type=submit]")
    expect(page.locator("#create-errors")).to_contain_text("line 2")
    page.fill("#f-toml", 'name = "Pasted"\n[audience]\nlists = ["people"]\n[[messages]]\ntext = "Hi"\n')
    page.click("#create [type=submit]")
    expect(page.locator("#panel h2")).to_have_text("Pasted")


def test_keyboard_alone_opens_and_closes_a_campaign(live: Live, page: Page) -> None:
    made = live.create(name="By keyboard")
    button = row(page, made["id"]).locator("button")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel h2")).to_have_text("By keyboard")
    expect(page.locator("#panel h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(button).to_be_focused()


def test_every_control_has_a_name(page: Page) -> None:
    page.click("#new")
    nameless = page.eval_on_selector_all(
        "button, input, select, textarea, a",
        """all => all.filter(n => !(n.getAttribute('aria-label') || n.textContent.trim() || n.labels?.length
            || n.getAttribute('aria-labelledby'))).map(n => n.outerHTML)""",
    )
    assert nameless == []


def test_400_px_shows_everything_without_a_sideways_scroll(live: Live, page: Page) -> None:
    made = live.create(name="A campaign with quite a long name that has to be broken somewhere")
    page.set_viewport_size({"width": 400, "height": 800})
    expect(row(page, made["id"])).to_be_visible()
    row(page, made["id"]).locator("button").click()
    expect(page.locator("#panel h2")).to_contain_text("quite a long name")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_api_away_is_visible_and_it_comes_back_by_itself(live: Live, page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    with live.stopped("api"):
        expect(page.locator("#live")).to_have_attribute("data-state", "reconnecting", timeout=20_000)
        expect(page.locator("#trouble")).to_contain_text("The API is not responding")
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=30_000)
    expect(page.locator("#trouble")).to_be_hidden()


def test_clickhouse_away_shows_since_when_and_how_old(live: Live, page: Page) -> None:
    made = live.create(name="Old figures", send_at=in_minutes(10))
    live.api.send("POST", f"/v1/campaigns/{made['id']}/launch")
    live.until(made["id"], lambda shown: bool(shown["figures"]) and shown["figures"]["targeted"] > 0)
    with live.stopped("clickhouse"):
        expect(page.locator("#trouble")).to_contain_text("ClickHouse unreachable since", timeout=40_000)
        expect(page.locator("#trouble")).to_contain_text("s old")
        expect(page.locator("#live")).to_have_attribute("data-state", "stale")
        expect(row(page, made["id"]).locator(".c-age.old")).to_be_visible()
        live.api.send("POST", f"/v1/campaigns/{made['id']}/pause")
        expect(row(page, made["id"]).locator(".status")).to_have_text("paused")
    expect(page.locator("#trouble")).to_be_hidden(timeout=40_000)
    live.api.send("POST", f"/v1/campaigns/{made['id']}/cancel")


def test_no_file_of_the_page_names_another_host(live: Live) -> None:
    with urllib.request.urlopen(live.api.url) as answer:
        html = answer.read().decode()
    assert "http://" not in html
    assert html.count("https://") == html.count('placeholder="https://"')
