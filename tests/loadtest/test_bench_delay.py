"""What `longwave bench delay` makes and reads, without its stack."""

from __future__ import annotations

from loadtest.bench import delay_lookup
from loadtest.bench.delay import (
    AFTER_KILL_S,
    LOADED_S,
    PROBE_SIZE,
    PROBES_APART_MS,
    QUIET_S,
    Arrival,
    _by_lane,
    _first,
    _of_newest_owner,
)
from loadtest.bench.delay_records import Template, control
from schemas.lane import LANES, Work
from schemas.wire import CHUNK_LIMIT


def test_its_records_are_work() -> None:
    first, second = (LANES.decode(Template("0000wa1t", 1, 100).record(n, 5, [(60, 5), (40, 9)], 8)) for n in (3, 803))
    assert isinstance(first, Work)
    assert isinstance(second, Work)
    assert (len(first.numbers), first.ordinals[:2], first.dues) == (100, [3, 11], [(60, 5), (40, 9)])
    assert not set(first.ordinals) & set(second.ordinals)


def test_finding_due_work_is_measured_with_waiting_recipients() -> None:
    assert set(delay_lookup.microseconds(2000, control)) == {"next_due", "release", "pick"}


def test_a_lane_is_back_with_the_first_that_fell_due_after_the_kill() -> None:
    probes = [Arrival("p", 1, 900, 2100.0), Arrival("p", 1, 1100, 3500.0), Arrival("p", 1, 1200, 3400.0)]
    assert _first(probes, 1, 1000) == 2.4
    assert _first(probes, 0, 1000) == float("inf")


def test_metrics_are_read_by_lane() -> None:
    text = '# HELP x y\nx{lane="3"} 5.0\nx{lane="4"} 1e+06\ny{step="a"} 2\nz 1\n'
    assert _by_lane(text) == {"x": {"3": 5.0, "4": 1e6}}


def test_a_lane_is_as_its_newest_owner_has_it() -> None:
    before = {"longwave_lane_epoch": {"0": 5.0, "1": 9.0}, "waits": {"0": 70.0, "1": 30.0}}
    after = {"longwave_lane_epoch": {"0": 8.0, "1": 0.0}, "waits": {"0": 40.0, "1": 99.0}}
    assert _of_newest_owner([before, after], "waits") == {"0": 40.0, "1": 30.0}
    assert _of_newest_owner([after, before], "waits") == {"0": 40.0, "1": 30.0}


def test_no_probe_waits_beyond_the_last_look_for_one() -> None:
    a_record = CHUNK_LIMIT // PROBE_SIZE * PROBES_APART_MS
    assert (LOADED_S + QUIET_S + AFTER_KILL_S) * 1000 % a_record == 0
