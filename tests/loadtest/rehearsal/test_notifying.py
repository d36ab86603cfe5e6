"""Who is told: Alertmanager's inhibit rules and times, as its configuration has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.rehearsal.notifying import Matcher, Notifying

CONFIG = """
route:
  receiver: all
  group_wait: 30s
  group_interval: 5m
  routes:
    - receiver: all
      matchers: ['severity = "critical"']
      group_wait: 10s
receivers: [{name: all}]
inhibit_rules:
  - source_matchers: ['alertname = "KafkaDown"']
    target_matchers: ['alertname =~ "LaneLate|FiguresOld"']
  - source_matchers: ['alertname = "TargetDown"']
    target_matchers: ['alertname = "WorkerNotReady"']
    equal: [instance]
  - source_matchers: ['severity = "critical"']
    target_matchers: ['alertname =~ ".*Burn.*"']
"""
STEP = 5.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "alertmanager.yml"
    file.write_text(CONFIG)
    return file


def named(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, **labels}


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ('severity="page"', {"severity": "page"}, True),
        ("severity=page", {"severity": "ticket"}, False),
        ('a != "b"', {}, True),
        ('a =~ "b|c"', {"a": "c"}, True),
        ('a =~ "b"', {"a": "bb"}, False),
        ('a !~ "b.*"', {"a": "bb"}, False),
        ('a = "x\\"y"', {"a": 'x"y'}, True),
        ('a = ""', {}, True),
    ],
)
def test_a_matcher(text: str, labels: dict[str, str], holds: bool) -> None:
    assert Matcher.read(text).holds(labels) is holds


def test_what_is_no_matcher_is_refused() -> None:
    with pytest.raises(ValueError, match="no matcher"):
        Matcher.read("severity == page")


def test_an_alert_is_inhibited_by_its_source_and_by_nobody_else(config: Path) -> None:
    notifying = Notifying(file=config)
    assert notifying.inhibited(named("LaneLate"), [named("KafkaDown")])
    assert not notifying.inhibited(named("LaneLate"), [named("ClickHouseDown"), named("LaneLate")])
    assert not notifying.inhibited(named("KafkaDown"), [named("KafkaDown")])


def test_equal_labels_must_be_equal(config: Path) -> None:
    notifying = Notifying(file=config)
    target = named("WorkerNotReady", instance="a")
    assert notifying.inhibited(target, [named("TargetDown", instance="a")])
    assert not notifying.inhibited(target, [named("TargetDown", instance="b")])
    assert not notifying.inhibited(target, [named("TargetDown")])


def test_two_that_are_source_and_target_do_not_silence_each_other(config: Path) -> None:
    notifying = Notifying(file=config)
    fast, slow = named("FastBurn", severity="critical"), named("SlowBurn", severity="critical")
    assert not notifying.inhibited(fast, [fast, slow])
    assert notifying.inhibited(named("FastBurn", severity="warning"), [slow])


def fires(seconds: range) -> list[float]:
    return [float(second) for second in seconds]


def test_nobody_is_told_of_what_is_over_before_its_group_is_sent(config: Path) -> None:
    notifying, alert = Notifying(file=config), named("LaneLate")
    short, long = fires(range(0, 30, 5)), fires(range(0, 35, 5))
    assert not notifying.notifies(alert, short, {time: [alert] for time in short}, STEP)
    assert notifying.notifies(alert, long, {time: [alert] for time in long}, STEP)
    assert Notifying(10, config).notifies(alert, short, {time: [alert] for time in short}, STEP)


def test_a_consequence_is_held_back_if_its_source_fires_when_it_would_be_sent(config: Path) -> None:
    notifying, alert, source = Notifying(file=config), named("LaneLate"), named("KafkaDown")
    times = fires(range(0, 200, 5))
    late_source = {time: [alert, source] if time >= 25 else [alert] for time in times}
    assert not notifying.notifies(alert, times, late_source, STEP), "the source comes within group_wait"
    no_more = {time: [alert, source] if time < 60 else [alert] for time in times}
    assert not notifying.notifies(alert, times, no_more, STEP), "the group is not sent again so soon"
    times = fires(range(0, 400, 5))
    lingers = {time: [alert, source] if time < 60 else [alert] for time in times}
    assert notifying.notifies(alert, times, lingers, STEP), "five minutes later it still fires, on its own"


def test_a_route_of_its_own_has_its_own_wait(config: Path) -> None:
    notifying, times = Notifying(file=config), fires(range(0, 15, 5))
    for severity, notified in (("critical", True), ("warning", False)):
        alert = named("Other", severity=severity)
        assert notifying.notifies(alert, times, {time: [alert] for time in times}, STEP) is notified


def test_what_fires_anew_waits_anew(config: Path) -> None:
    notifying, alert = Notifying(file=config), named("LaneLate")
    times = [*fires(range(0, 25, 5)), *fires(range(100, 125, 5))]
    assert not notifying.notifies(alert, times, {time: [alert] for time in times}, STEP)


def test_it_reads_the_configuration_that_is_deployed() -> None:
    notifying = Notifying()
    assert notifying.inhibited(named("LaneLate"), [named("KafkaDown")])
    assert not notifying.inhibited(named("KafkaDown"), [named("LaneLate")])
