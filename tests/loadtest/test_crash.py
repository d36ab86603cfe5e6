"""The kill harness's own arithmetic: a harness that cannot find anything proves nothing."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.doors import settings as doors
from adapters.settings import Settings
from loadtest.aggregator.record import ACCEPTED, HIT, LOST, Recorder
from loadtest.bench import optouts_kill
from loadtest.bench.campaigns import wait_until
from loadtest.bench.crash.account import Account
from loadtest.bench.crash.arrivals import Arrivals
from loadtest.bench.crash.bench import result
from loadtest.bench.crash.findings import Findings, Recovery
from loadtest.bench.crash.plan import APART_SECONDS, OVERLAPPING, WEIGHTS, plan, quotas
from loadtest.bench.crash.recovery import back
from loadtest.bench.crash.stops import Stops, judged
from loadtest.bench.crash.unknowns import attributed, claims
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup


def test_claims_are_read_from_the_workers_logs(tmp_path: Path) -> None:
    def said(at: str) -> str:
        line = {"time": at, "message": "lane 3 is ours, epoch 5, after 0.2 s", "lane": 3}
        return json.dumps(line) + '\n{"time": "2026-11-22T04:00:41.289Z", "message": "ends"}\n'

    (tmp_path / "worker-0.log").write_text(said("2026-11-22T04:00:23.848Z"))
    (tmp_path / "worker-1.log").write_text(said("2026-11-22T04:00:21.800Z"))
    (tmp_path / "writer.log").write_text(said("2026-11-22T04:00:20.000Z"))
    (times,) = claims(tmp_path).values()
    assert np.diff(times).tolist() == [2048]


def test_messages_left_unknown_belong_to_the_first_claim_after_the_intent() -> None:
    def reported(at: int, state: str, ordinals: list[int], reason: str = "") -> StatusChunk:
        group = StatusGroup(state=state, ordinals=ordinals, reason=reason)  # type: ignore[arg-type]
        return StatusChunk(campaign="aaaaaaaa", message=0, at=at, lane=2, groups=[group])

    chunks = [reported(10, "in_flight", [1, 2]), reported(40, "in_flight", [3]), reported(20, "in_flight", [1])]
    chunks.append(reported(48, "in_flight", [2]))
    lost = {(2, "aaaaaaaa", 1): 60, (2, "aaaaaaaa", 2): 15, (2, "aaaaaaaa", 3): 60}
    assert attributed(chunks, lost, {2: [5, 15, 30, 50], 1: [12]}) == {(2, 15): 1, (2, 30): 1, (2, 50): 1}


def test_a_plan_is_repeatable_and_has_every_kind_by_its_share() -> None:
    assert plan(50, 7) == plan(50, 7) != plan(50, 8)
    assert sum(WEIGHTS.values()) == 50
    assert quotas(50) == WEIGHTS
    assert {blow.kind for blow in plan(len(WEIGHTS), 1)} == set(WEIGHTS)
    assert [kind for kind, count in quotas(3).items() if count] == ["worker", "coordinator", "broker"]


def times(start: float, stop: float) -> list[float]:
    return np.arange(start, stop, 0.1).tolist()


def test_a_lane_that_never_stopped_is_back_at_once() -> None:
    actual = back(times(0, 20), blow=10.0, now=20.0)
    assert actual is not None
    assert (actual.longest, actual.settled) == (0.0, 0.0)


def test_a_lane_is_back_when_its_last_pause_is_over() -> None:
    actual = back(times(0, 10) + times(16, 18) + times(20, 30), blow=10.0, now=30.0)
    assert actual is not None
    assert actual.longest == pytest.approx(6.0, abs=0.2)
    assert actual.settled == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize("later", [[], times(16, 17), times(16, 28)])
def test_a_lane_that_does_not_send_steadily_is_not_back(later: list[float]) -> None:
    assert back(times(0, 10) + later, blow=10.0, now=max(17.5, *later, 0) + 0.5 if len(later) < 50 else 30.0) is None


def test_arrivals_count_what_was_taken_by_ordinal_and_lane(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    arrivals = Arrivals(tmp_path, [4, 5], 1000)
    for at, ids, outcomes in (
        (1_000_000_000, ["abc-0-0", "abc-0-499"], [ACCEPTED, LOST]),
        (2_000_000_000, ["abc-0-500", "abc-0-501"], [ACCEPTED, HIT]),
        (3_000_000_000, ["abc-0-0"], [ACCEPTED]),
    ):
        messages = ", ".join(f'{{"id": "{item}", "to": "+12125550100", "text": "x"}}' for item in ids)
        recorder.append(at, bytes(outcomes), f'{{"from": "+1", "messages": [{messages}]}}'.encode())
    arrivals.catch_up()
    arrivals.catch_up()
    recorder.close()
    assert arrivals.times == {4: [1.0, 3.0], 5: [2.0]}
    assert np.flatnonzero(arrivals.counts["abc"]).tolist() == [0, 500]
    assert (arrivals.counts["abc"][0], arrivals.taken, arrivals.key_hits) == (2, 3, 1)


class Exports:
    """The API's export of one campaign, from a list of states by ordinal."""

    def __init__(self, states: list[str], listed: list[int] | None = None, reason: str = "") -> None:
        self._states = states
        self._reason = reason
        self._listed = [n for n, state in enumerate(states) if state == "unknown"] if listed is None else listed

    def download(self, path: str, to: Path, *, format: str, state: str = "") -> None:
        rows = self._listed if state else list(range(len(self._states)))
        states = [self._states[row] for row in rows]
        pq.write_table(
            pa.table({"ordinal": pa.array(rows, pa.uint32()), "state": states, "reason": [self._reason] * len(rows)}),
            to,
        )


def account_of(
    states: list[str], taken: list[int], folder: Path, listed: list[int] | None = None, reason: str = ""
) -> Account:
    counts: dict[str, int] = dict.fromkeys(("accepted", "unknown", "delivered", "pending", "canceled", "rejected"), 0)
    for state in states:
        counts[state] += 1
    shown: dict[str, Any] = {"id": "abc", "figures": {"targeted": len(states), "residual": 0, "states": counts}}
    actual = Account()
    actual.add(Exports(states, listed, reason), shown, np.array(taken, np.uint8), folder)  # type: ignore[arg-type]
    return actual


def test_an_account_that_adds_up(tmp_path: Path) -> None:
    actual = account_of(["delivered", "unknown", "unknown", "canceled"], [1, 1, 0, 0], tmp_path)
    assert (actual.lost, actual.twice, actual.unaccounted, actual.unlisted, actual.receipts_lost) == (0, 0, 0, 0, 0)
    assert actual.never_handed_over == 1
    assert (actual.targeted, actual.received, actual.states["unknown"]) == (4, 2, 2)


@pytest.mark.parametrize(
    ("states", "taken", "wrong"),
    [
        (["pending", "delivered"], [0, 1], "lost"),
        (["delivered"], [0], "lost"),
        (["delivered"], [2], "twice"),
        (["canceled"], [1], "unaccounted"),
        (["accepted"], [1], "receipts_lost"),
    ],
)
def test_each_loss_is_found(states: list[str], taken: list[int], wrong: str, tmp_path: Path) -> None:
    findings = Findings(policy="skip", window=100, account=account_of(states, taken, tmp_path))
    assert getattr(findings.account, wrong) == 1
    assert len(findings.broken()) == 1
    assert not result([findings], {}).ok


def test_a_message_that_was_certainly_not_sent_is_no_loss_and_must_not_have_arrived(tmp_path: Path) -> None:
    actual = account_of(["rejected", "rejected"], [0, 1], tmp_path, reason=Reason.NOT_SENT_BY_LOST_OWNER)
    assert (actual.not_sent, actual.lost, actual.unaccounted) == (2, 0, 1)
    assert account_of(["rejected"], [0], tmp_path, reason="30003").lost == 1


@pytest.mark.parametrize(("unsent", "broken"), [(240, False), (260, True)])
def test_too_many_unknown_that_were_never_handed_over_are_found(unsent: int, broken: bool, tmp_path: Path) -> None:
    # Whoever was handed over has a receipt by the end: only the others are unknown then.
    states = ["unknown"] * unsent + ["delivered"] * (1250 - unsent)
    account = account_of(states, [0] * unsent + [1] * (1250 - unsent), tmp_path)
    findings = Findings("skip", 2000, account=account)
    findings.attribute({(0, 12_000): 1250})
    assert findings.row()["left_unknown"] == 1250
    assert findings.broken() == (["21% of those left unknown were never handed over, 20% at most"] if broken else [])


def test_an_unknown_that_is_not_listed_is_found(tmp_path: Path) -> None:
    assert account_of(["unknown", "unknown"], [0, 0], tmp_path, listed=[0]).unlisted == 2


def test_twice_is_allowed_under_resend_alone(tmp_path: Path) -> None:
    broken = {
        policy: Findings(policy, 100, account=account_of(["delivered"], [2], tmp_path)).broken()
        for policy in ("skip", "resend", "resend-with-key", "query")
    }
    assert [policy for policy, actual in broken.items() if not actual] == ["resend"]


def test_messages_left_unknown_belong_to_the_blow_before_it() -> None:
    findings = Findings("skip", 100)
    findings.recoveries = [Recovery("worker", 10.0, 1.0, 1.0), Recovery("broker", 20.0, 1.0, 1.0)]
    findings.attribute({(0, 12_000): 40, (1, 12_000): 30, (0, 25_000): 101})
    assert [recovery.unknown for recovery in findings.recoveries] == [70, 101]
    assert findings.broken() == ["101 left unknown in one lane, window 100"]


def test_a_lane_that_stands_still_too_long_is_found() -> None:
    findings = Findings("skip", 100)
    findings.recoveries = [Recovery("worker", 0.0, 15.1, 15.1), Recovery("broker", 0.0, 29.0, 29.0)]
    assert findings.broken() == ["a lane stood still for 15.1 s after worker"]
    assert result([findings], {}).figure == 15.1


def test_a_storm_is_judged_from_the_death_in_it() -> None:
    findings = Findings("skip", 100)
    findings.recoveries = [Recovery("storm", 0.0, 18.0, 29.0, since_death=n) for n in (9.0, 15.2)]
    assert findings.broken() == ["a lane stood still for 15.2 s after storm"]


def test_good_order_leaves_nothing_unknown() -> None:
    findings = Findings("skip", 100)
    findings.recoveries = [
        Recovery("rolling", 0.0, 1.0, 1.0, unknown=3),
        Recovery("worker", 0.0, 1.0, 1.0, unknown=3),
    ]
    assert findings.broken() == ["3 left unknown by rolling"]


def test_overlapping_blows_are_drawn_with_their_moment() -> None:
    blows = [blow for blow in plan(200, 3) if blow.kind == "overlap"]
    assert len(blows) == 24
    assert all(0 <= blow.apart <= APART_SECONDS and set(blow.pair) <= set(OVERLAPPING) for blow in blows)
    assert {what for blow in blows for what in blow.pair} == set(OVERLAPPING)
    assert max(blow.apart for blow in blows) > 10
    assert min(blow.apart for blow in blows) < 3


def test_only_some_kinds_may_be_asked_for() -> None:
    assert {blow.kind for blow in plan(5, 1, ["overlap", "broker"])} == {"overlap", "broker"}
    assert quotas(11, ["overlap", "broker"]) == {"broker": 5, "overlap": 6}


def test_overlapping_blows_are_judged_from_the_second() -> None:
    findings = Findings("skip", 100)
    findings.recoveries = [Recovery("overlap", 0.0, 44.0, 44.0, since_death=n) for n in (29.0, 30.2)]
    assert findings.broken() == ["a lane stood still for 30.2 s after overlap"]


def test_a_message_too_long_after_a_stop_is_found() -> None:
    stopped = judged({1: 100.0, 2: 100.0, 3: 100.0, 4: 100.0}, {1: 99.0, 2: 100.9, 3: 104.2})
    assert (stopped.acknowledged, stopped.late) == (4, [(3, pytest.approx(4.2))])
    assert stopped.longest == pytest.approx(4.2)
    findings = Findings("skip", 100, stopped=stopped)
    assert findings.broken() == ["1 got a message later than 1 s after their STOP was acknowledged"]
    assert not optouts_kill.result(findings, 1, 1000).ok


def test_without_stops_there_is_no_result() -> None:
    assert not optouts_kill.result(Findings("skip", 100), 1, 1000).ok


class Ingress(http.server.BaseHTTPRequestHandler):
    """Refuses the first text, acknowledges the others."""

    texts: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.texts.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if len(self.texts) == 1 else 202)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_a_stop_is_texted_until_it_is_acknowledged() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ingress)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    listen = doors.Ingress(port=server.server_port)
    stops = Stops(Settings(ingress=listen), "+18885550100", people=8, per_second=1.0, seed=1)
    stops.start()
    wait_until("two are acknowledged", lambda: len(stops._acknowledged) == 2, 20)
    stops.stop()
    server.shutdown()
    server.server_close()
    assert stops.outcome({}).retried == 1
    assert stops.outcome({}).acknowledged == 2
    assert Ingress.texts[0] == Ingress.texts[1] != Ingress.texts[2]
