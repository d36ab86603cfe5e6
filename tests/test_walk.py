"""One message, followed on the real stack from the launch to the dashboard row as docs/internals/walk.md lists it."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from cli.client import api_of
from loadtest.bench.campaigns import wait_until
from loadtest.bench.stack import Stack, private_stack
from pipeline.identity.tokens import parse_click_token
from schemas import topics
from schemas.campaign import CAMPAIGNS, COMMANDS
from schemas.chunk import FANOUT, RECIPIENTS, FanoutRange, Freeze
from schemas.feedback import CLICKS, OPTOUTS, RECEIPTS
from schemas.lane import LANES, Control, Intent, Owner, Result, Work, flight_id
from schemas.status import STATUSES
from schemas.topics import Topic
from tests.otlp import Collector, Taken, collecting

ANA = 12125550123
SCRIPT = """
seed = 7
[receipts]
delivered = 1.0
"""
CONTACTS = """phone,first_name,city,opted_out
+1 212 555 0123,Ana,Erie,
+1 212 555 0124,Bo,Reno,true
+1 212 555 0123,Ana,Erie,
12,Nobody,Nowhere,
"""
CAMPAIGN = """
name = "Walk"
tags = ["test"]
smart_sending_hours = 0
opt_out_language = "Reply STOP to opt out"
[audience]
lists = ["walkers"]
[[messages]]
text = "Hi {first_name|there} of {city}: {link}"
[messages.links]
default = "https://shop.example/walk"
"""


TRACING = """
[tracing]
endpoint = "{}"
sample_rate = 1.0
"""


class Walk:
    """The stack, the campaign that was sent on it, and everything that its topics hold."""

    def __init__(self, stack: Stack, folder: Path, collector: Collector) -> None:
        self.stack = stack
        self.collector = collector
        self.folder = folder
        self.campaign = ""

    def longwave(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def show(self) -> dict[str, Any]:
        actual: dict[str, Any] = api_of(self.stack.settings).get(f"/v1/campaigns/{self.campaign}")
        return actual

    def records(self, topic: Topic) -> list[tuple[int, int, bytes | None, bytes | None]]:
        """(partition, offset, key, value) of everything in a topic."""
        consumer = Consumer({"bootstrap.servers": self.stack.settings.kafka.bootstrap, "group.id": "walk"})
        actual: list[tuple[int, int, bytes | None, bytes | None]] = []
        last: set[tuple[int, int]] = set()
        places: list[TopicPartition] = []
        for partition in consumer.list_topics(topic.name).topics[topic.name].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, partition))
            if low < high:
                places.append(TopicPartition(topic.name, partition, low))
                last.add((partition, high - 1))
        consumer.assign(places)
        while last:
            message = consumer.poll(5)
            assert message is not None
            actual.append((message.partition(), message.offset(), message.key(), message.value()))
            last.discard(actual[-1][:2])
        consumer.close()
        return sorted(actual, key=lambda record: record[:2])


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("walk")
    (folder / "script.toml").write_text(SCRIPT)
    (folder / "contacts.csv").write_text(CONTACTS)
    (folder / "campaign.toml").write_text(CAMPAIGN)
    with (
        collecting() as collector,
        private_stack(TRACING.format(collector.url), script=folder / "script.toml") as stack,
    ):
        walk = Walk(stack, folder, collector)
        walk.longwave("contacts", "import", str(folder / "contacts.csv"), "--list", "walkers")
        walk.campaign = walk.longwave("campaign", "create", str(folder / "campaign.toml")).split()[-1]
        walk.longwave("campaign", "launch", walk.campaign)
        wait_until("the campaign is finished", lambda: walk.show()["status"] == "finished", 90, pause=0.5)
        yield walk


def test_1_the_command_is_in_kafka_and_the_document_follows_it(walk: Walk) -> None:
    commands = [COMMANDS.decode(value) for _, _, key, value in walk.records(topics.COMMANDS)]
    actions = [getattr(command, "action", type(command).__name__.lower()) for command in commands]
    assert actions[:3] == ["create", "launch", "frozen"]
    documents = [CAMPAIGNS.decode(value) for _, _, _, value in walk.records(topics.CAMPAIGNS)]
    statuses = [document.status for document in documents]
    assert [document.revision for document in documents] == list(
        range(documents[0].revision, documents[-1].revision + 1)
    )
    assert statuses[-1] == "finished"
    assert documents[-1].recipients == 2


def test_2_the_audience_is_frozen_once_without_the_double_and_the_invalid(walk: Walk) -> None:
    tasks = [FANOUT.decode(value) for _, _, _, value in walk.records(topics.FANOUT)]
    assert [type(task) for task in tasks if isinstance(task, Freeze)] == [Freeze]
    ranges = [task for task in tasks if isinstance(task, FanoutRange)]
    assert [(range_.first, range_.last) for range_ in ranges] == [(0, 2)]
    rejects = (walk.folder / "contacts.csv.rejects.csv").read_text()
    assert rejects.splitlines()[1].startswith("12,Nobody,")


def test_3_fanout_sends_recipient_chunks_to_the_partitions_of_their_buckets(walk: Walk) -> None:
    chunks = [RECIPIENTS.decode(value) for _, _, _, value in walk.records(topics.RECIPIENTS)]
    numbers = [number for chunk in chunks for number in chunk.numbers]
    assert sorted(numbers) == [ANA, ANA + 1]
    (mine,) = [chunk for chunk in chunks if ANA in chunk.numbers]
    assert mine.fields["first_name"][mine.numbers.index(ANA)] == "Ana"


def test_4_eligibility_skips_opted_out_recipients_and_gives_the_others_to_the_lane(walk: Walk) -> None:
    (optout,) = [OPTOUTS.decode(value) for _, _, _, value in walk.records(topics.OPTOUTS)]
    assert (optout.number, optout.state) == (ANA + 1, "out")
    (work,) = [r for r in _lane(walk).values() if isinstance(r, Work)]
    assert work.numbers == [ANA]
    assert walk.show()["figures"]["states"]["skipped"] == 1


def test_5_the_lane_logs_owner_control_work_intent_and_result_in_this_order(walk: Walk) -> None:
    log = _lane(walk)
    offsets = {
        kind: [o for o, r in log.items() if isinstance(r, kind)] for kind in (Owner, Control, Work, Intent, Result)
    }
    assert offsets[Owner][0] < offsets[Intent][0]
    assert offsets[Control][0] < offsets[Work][0] < offsets[Intent][0] < offsets[Result][0]
    (intent,), (result,) = ([r for r in log.values() if isinstance(r, kind)] for kind in (Intent, Result))
    assert intent.epoch == offsets[Owner][-1] + 1
    assert intent.slices == [(offsets[Work][0], 0, 1)]
    (landed,) = result.flights
    assert landed.flight == flight_id(offsets[Intent][0], 0)
    assert [group.outcome for group in landed.groups] == ["accepted"]


def test_6_the_aggregator_received_the_rendered_text_once(walk: Walk) -> None:
    submissions = walk.stack.submissions()
    (mine,) = [item for item in submissions.ids if item.startswith(walk.campaign)]
    assert not submissions.received_twice
    assert submissions.numbers.tolist() == [ANA]
    assert mine == f"{walk.campaign}-0-{_ordinal(walk)}"


def test_7_the_receipt_came_in_and_the_click_leads_to_the_shop(walk: Walk) -> None:
    (receipt,) = [RECEIPTS.decode(value) for _, _, _, value in walk.records(topics.RECEIPTS)]
    assert receipt.states == ["delivered"]
    settings = walk.stack.settings
    log = (settings.data / "aggregator" / "submissions.log").read_text()
    token = log.split("/c/")[1].split()[0].strip('"}')[:23]
    click = parse_click_token(settings.token_key.get_secret_value().encode(), token)
    assert click is not None
    assert (click.campaign, click.ordinal) == (walk.campaign, _ordinal(walk))
    opener = urllib.request.build_opener(_NoRedirect)
    request = urllib.request.Request(
        f"{settings.ingress.url}/c/{token}", headers={"User-Agent": "Mozilla/5.0 (iPhone)"}
    )
    with pytest.raises(urllib.error.HTTPError) as redirected:
        opener.open(request)
    assert (redirected.value.code, redirected.value.headers["Location"]) == (302, "https://shop.example/walk")
    assert CLICKS.decode(walk.records(topics.CLICKS)[-1][3]).clicks[0].ordinal == _ordinal(walk)


def test_8_status_chunks_tell_each_state(walk: Walk) -> None:
    groups = [group for _, _, _, value in walk.records(topics.STATUSES) for group in STATUSES.decode(value).groups]
    mine = {group.state for group in groups if _ordinal(walk) in group.ordinals}
    assert {"queued", "in_flight", "accepted", "delivered"} <= mine


def test_9_the_dashboards_row_balances(walk: Walk) -> None:
    wait_until("the click is on the page", lambda: bool(walk.show()["figures"].get("clicked")), 20)
    shown = walk.show()
    states = shown["figures"]["states"]
    assert {state: n for state, n in states.items() if n} == {"delivered": 1, "skipped": 1}
    assert shown["figures"]["targeted"] == sum(states.values()) == 2
    assert shown["figures"]["residual"] == 0


def test_10_the_chunk_s_trace_has_each_step_below_the_one_that_led_to_it(walk: Walk) -> None:
    wait_until("the last span is there", lambda: _has_inserted_the_receipt(walk), 20)
    spans = _spans(walk)
    actual = {span.name: span for span in spans}
    below = {
        "fanout": "", "eligibility": "fanout", "wait": "eligibility", "intent": "eligibility", "line": "intent",
        "submit": "intent", "result": "intent", "receipts": "fanout", "insert": "fanout",
    }  # fmt: skip
    assert actual.keys() == below.keys()
    of = {span.id: span.name for span in spans}
    assert {span.name: of.get(span.parent, "") for span in spans} == below
    # One eligibility for each partition that the chunk was cut at; of statuses as many inserts as batches.
    assert {span.name for span in spans} - {"eligibility", "insert"} == {
        name for name in below if [span.name for span in spans].count(name) == 1
    }
    order = [actual[name].begin for name in ("fanout", "intent", "line", "submit", "result", "receipts")]
    assert order == sorted(order)
    assert all(span.begin <= span.end for span in spans)
    # Times of records have milliseconds only.
    (decided,) = [span for span in spans if span.id == actual["wait"].parent]
    assert decided.begin - 1_000_000 <= actual["wait"].begin <= actual["wait"].end
    assert actual["wait"].end == actual["intent"].begin
    assert actual["line"].end == actual["submit"].begin


def test_11_the_trace_says_what_became_of_whom_and_links_to_the_launch(walk: Walk) -> None:
    spans = _spans(walk)
    actual = {span.name: span.attributes for span in spans}
    for span in spans:
        about = (walk.campaign, "demo", "main", 0, 0)
        names = ("campaign", "account", "sender", "message", "chunk")
        assert tuple(span.attributes[f"longwave.{name}"] for name in names) == about
    assert {span.process for span in spans if span.name == "insert"} == {"writer"}
    assert {span.process for span in spans if span.name != "insert"} == {"worker-0"}
    skipped = sum(span.attributes.get("longwave.reason.opted_out", 0) for span in spans if span.name == "eligibility")
    assert skipped == actual["submit"]["longwave.outcome.accepted"] == 1
    assert actual["submit"]["longwave.aggregator"] == "local"
    assert actual["receipts"]["longwave.state.delivered"] == 1
    assert (actual["intent"]["messaging.destination.name"], actual["intent"]["longwave.lane"]) == ("lanes", 0)
    (fanout,) = [span for span in spans if span.name == "fanout"]
    ((trace, frozen),) = fanout.links
    once = walk.collector.traces()[trace]
    assert [span.name for span in once] == ["launch", "freeze", "frozen"]
    assert [span.parent for span in once] == ["", once[0].id, once[1].id]
    assert (once[2].id, once[1].attributes["longwave.recipients"]) == (frozen, 2)


def test_12_no_span_has_a_person_s_number_a_text_or_a_secret(walk: Walk) -> None:
    sent = b"".join(walk.collector.bodies)
    settings = walk.stack.settings
    ours = (walk.stack.sender().number, settings.token_key.get_secret_value())
    secrets = (str(ANA), str(ANA + 1), "Ana", "Erie", "shop.example", *ours)
    assert not [secret for secret in secrets if secret.encode() in sent]


def _has_inserted_the_receipt(walk: Walk) -> bool:
    spans = _spans(walk)
    inserted = any(span.name == "insert" and "longwave.state.delivered" in span.attributes for span in spans)
    return inserted and {"result", "receipts"} <= {span.name for span in spans}


def _spans(walk: Walk) -> list[Taken]:
    """Of the only chunk."""
    return next((spans for spans in walk.collector.traces().values() if spans[0].name == "fanout"), [])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def _lane(walk: Walk) -> dict[int, Any]:
    return {
        offset: LANES.decode(value) for partition, offset, _, value in walk.records(topics.LANES) if partition == 0
    }


def _ordinal(walk: Walk) -> int:
    (work,) = [r for r in _lane(walk).values() if isinstance(r, Work)]
    return work.ordinals[0]
