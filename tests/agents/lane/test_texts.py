"""The texts of a flight: where their links lead, and how many segments they really have."""

from __future__ import annotations

import pytest

from adapters.settings import Settings
from agents.lane.texts import Texts
from pipeline.content.segments import count
from pipeline.lane.effects import Malformed
from schemas.lane import Intent, LaneMessage, Pick
from schemas.status import StatusChunk
from tests.pipeline.lane.records import DEMO, A, Group, Log, control, domain_terms, owner, result, sender_terms, work

SHORT, LONG, BYE = "go.example", "a-much-longer-name.shop.example", "bye.example"
TEXT = "x" * 90 + " {link} {opt_out}"


def log_of(domains: list[str]) -> Log:
    """Two people who were counted with two segments each, in flight with links on these domains."""
    log = Log()
    log.add(sender_terms())
    log.add(domain_terms((SHORT, "short", 9), (LONG, "short", 9), (BYE, "opt-out", 9)))
    log.add(control(text=TEXT))
    log.add(owner())
    log.add(work([0, 1], segments=[2, 2]))
    pick = Pick(campaign=A, message=0, slices=[(log.end - 1, 0, 2)], domains=domains)
    log.add(Intent(epoch=4, picks=[pick], at=1))
    return log


@pytest.mark.parametrize(
    ("domains", "hosts"),
    [
        ([], ["127.0.0.1", "127.0.0.1"]),
        ([SHORT], [SHORT, "127.0.0.1"]),
        ([LONG, BYE], [LONG, BYE]),
        ([BYE], ["127.0.0.1", BYE]),
    ],
)
def test_links_are_on_the_domains_of_the_pick(domains: list[str], hosts: list[str]) -> None:
    settings = Settings()
    log = log_of(domains)
    [flight] = log.state.flights.values()
    prepared = Texts(settings).prepare(log.state, flight)
    port = settings.ingress.port
    for item in prepared.items:
        assert f"http://{hosts[0]}:{port}/c/" in item.text
        assert f"http://{hosts[1]}:{port}/o/" in item.text
    if not domains:
        assert (prepared.counted, prepared.segments) == (None, 4), "as it was counted before"
    else:
        real = [count(item.text).parts for item in prepared.items]
        assert (prepared.counted, prepared.segments) == (real, sum(real))


def test_the_same_text_is_rendered_as_each_campaign_says() -> None:
    """Replacement is a setting of the message, and so is the order of links: renderers are not shared by text."""
    texts = Texts(Settings())
    plain = LaneMessage(text="It’s {link}", links=["default"])
    assert texts._renderer(plain) is texts._renderer(LaneMessage(text="It’s {link}", links=["default"]))
    others = [
        LaneMessage(text="It’s {link}", links=["default"], replaces_characters=True),
        LaneMessage(text="It’s {link}", links=["a", "default"]),
    ]
    assert all(texts._renderer(other) is not texts._renderer(plain) for other in others)


def test_the_accounting_has_the_segments_that_went_out() -> None:
    log = log_of([SHORT])
    [flight] = log.state.flights.values()
    counted = Texts(Settings()).prepare(log.state, flight).counted
    assert counted is not None
    landed = result(log.end - 1, Group(outcome="accepted", ids=["a", "b"]))
    landed.flights[0].segments = [1, 3]
    groups = [
        (group.ordinals, group.segments, group.ids)
        for effect in log.add(landed)
        if isinstance(effect, StatusChunk)
        for group in effect.groups
    ]
    assert groups == [([0], 1, ["a"]), ([1], 3, ["b"])]
    assert log.state.domain_counts.of(DEMO[0]) == {SHORT: 2}


def test_segments_of_the_wrong_length_are_reported_and_those_of_the_work_count() -> None:
    log = log_of([SHORT])
    landed = result(log.end - 1, Group(outcome="accepted", ids=["a", "b"]))
    landed.flights[0].segments = [1]
    effects = log.add(landed)
    assert any(isinstance(effect, Malformed) and "1 counts of segments for 2" in effect.problem for effect in effects)
    [chunk] = [effect for effect in effects if isinstance(effect, StatusChunk)]
    assert [(group.ordinals, group.segments) for group in chunk.groups] == [([0, 1], 2)]
