"""Each metric is declared once, with a meaning, under our prefix, and exported by whoever knows it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from schemas import metrics
from schemas.metrics import Counter, Gauge, Histogram


def test_each_metric_has_a_name_of_ours_and_a_meaning() -> None:
    names = [metric._name for metric in metrics.ALL]
    assert len(names) == len(set(names)) > 20
    assert all(name.startswith("longwave_") for name in names)
    assert all(len(metric._documentation) > 15 and metric._documentation.endswith(".") for metric in metrics.ALL)


def test_the_list_holds_every_metric_of_the_module() -> None:
    declared = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    assert set(map(id, declared)) == set(map(id, metrics.ALL))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def exported(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_nothing_is_exported_of_what_this_process_does_not_know(registry: CollectorRegistry) -> None:
    Gauge("g", "A gauge.", registry=registry)
    Counter("c", "A counter.", registry=registry)
    Histogram("h", "A histogram.", registry=registry)
    Gauge("of_lane", "A gauge.", ["lane"], registry=registry)
    assert generate_latest(registry) == b""


def test_what_is_set_is_exported_a_zero_too_until_it_is_taken_back(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "A gauge.", registry=registry)
    gauge.set(0)
    assert exported(registry) == ["g 0.0"]
    gauge.forget()
    assert exported(registry) == []
    gauge.inc()
    assert exported(registry) == ["g 1.0"]


def test_a_function_is_asked_once_it_is_set(registry: CollectorRegistry) -> None:
    gauge = Gauge("g", "A gauge.", registry=registry)
    gauge.set_function(lambda: 7.0)
    assert exported(registry) == ["g 7.0"]


def test_a_histogram_is_exported_from_its_first_observation(registry: CollectorRegistry) -> None:
    histogram = Histogram("h", "A histogram.", registry=registry)
    histogram.observe(0.5)
    assert "h_count 1.0" in exported(registry)


def test_a_counter_that_is_owned_starts_at_zero(registry: CollectorRegistry) -> None:
    counter = Counter("c", "A counter.", ["step"], registry=registry)
    counter.labels("writer")
    assert 'c_total{step="writer"} 0.0' in exported(registry)


def test_a_lane_that_was_lost_leaves_no_series() -> None:
    for metric in metrics.ALL:
        if "lane" in metric._labelnames:
            for lane in (911, 912):
                metric.labels(*(lane if name == "lane" else "any" for name in metric._labelnames))
    metrics.forget_lane(911)
    said = generate_latest().decode()
    metrics.forget_lane(912)
    assert 'lane="911"' not in said
    assert 'longwave_lane_limit_segments_per_second{lane="912"}' in said
    assert 'longwave_lane_messages_total{lane="912",outcome="any"}' in said
    assert 'class="any",lane="912"' in said
