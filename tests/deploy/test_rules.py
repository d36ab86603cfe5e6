"""The alert and recording rules: promtool understands them, they do what their tests say, their metrics exist.

Each alert has a test in which it fires, one in which it does not, and a runbook page that says what to do.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from schemas import metrics
from schemas.campaign import Status
from schemas.reasons import Reason
from schemas.states import STATES

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy" / "rules").glob("*.yml"))
TESTS = Path(__file__).parent / "rules"
RUNBOOKS = ROOT / "docs" / "operating" / "runbooks"
ALERTMANAGER: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "alertmanager.yml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
WORDS = {"reason": {*Reason}, "state": {*STATES}, "status": {*get_args(Status)}}
NAMES = {name for metric in metrics.ALL for name in (described.name for described in metric.describe())}
SECTIONS = ("Meaning", "Impact", "Likely causes", "Commands", "What mends it")
EACH_FILE = pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)


def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for file in RULES for rule in rules(file) if "alert" in rule}
RECORDED = {rule["record"] for file in RULES for rule in rules(file) if "record" in rule}


def tool(name: str, *words: str) -> None:
    done = subprocess.run([name, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def cases(file: Path) -> Iterator[dict[str, Any]]:
    for test in yaml.safe_load((TESTS / file.name).read_text())["tests"]:
        yield from test.get("alert_rule_test", ())


@EACH_FILE
def test_rules_are_understood_and_do_what_their_tests_say(file: Path) -> None:
    tool("promtool", "check", "rules", str(file))
    tool("promtool", "test", "rules", str(TESTS / file.name))


@EACH_FILE
def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(file: Path) -> None:
    fired = {case["alertname"] for case in cases(file) if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases(file) if not case["exp_alerts"]}
    assert {rule["alert"] for rule in rules(file) if "alert" in rule} == fired & silent


@EACH_FILE
def test_every_recording_rule_has_a_test(file: Path) -> None:
    tests = (TESTS / file.name).read_text()
    asked = " ".join(re.findall(r"expr: (.+)", tests))
    assert not [rule["record"] for rule in rules(file) if "record" in rule and rule["record"] not in asked]


@EACH_FILE
def test_the_metrics_that_rules_ask_for_exist(file: Path) -> None:
    for rule in rules(file):
        for name in re.findall(r"\blongwave_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in NAMES, name
        assert set(re.findall(r"\blongwave:\w+(?::\w+)?", rule["expr"])) <= RECORDED


def test_words_in_selectors_are_of_the_closed_lists() -> None:
    """A reason that is renamed would silence the alert that selects it."""
    assert unknown_words('x{reason="no_such"} or y{step="no_such", status=~"sent|gone"}') == ["no_such", "gone"]
    assert unknown_words(f'x{{reason!="{Reason.OPTED_OUT}", state="delivered"}}') == []
    assert [word for file in RULES for rule in rules(file) for word in unknown_words(rule["expr"])] == []


def unknown_words(expr: str) -> list[str]:
    """What a PromQL expression selects by reason, state or status that no list of ours has; a status of digits is
    one of HTTP."""
    selected = re.findall(r'\b(reason|state|status)\s*(?:=|!=|=~|!~)\s*"(?!\d)([^"]*)"', expr)
    return [word for label, values in selected for word in values.split("|") if word not in WORDS[label]]


def test_no_name_is_used_twice() -> None:
    names = [rule.get("alert", rule.get("record")) for file in RULES for rule in rules(file)]
    assert len(names) == len(set(names))


def test_every_alert_has_a_runbook_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"index"} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_and_links_its_page_which_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description"} <= rule["annotations"].keys()
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page == RUNBOOKS / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    assert re.search(r"```console\n\$ ", text), "no command"
    index = (RUNBOOKS / "index.md").read_text(encoding="utf-8")
    assert f"[{name}]({name}.md) | {rule['labels']['severity']} |" in index
    assert f"runbooks/{name}.md" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_prometheus_loads_them_and_tells_alertmanager() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules/*.yml"]
    assert "./deploy/rules:/etc/prometheus/rules:ro" in COMPOSE["services"]["prometheus"]["volumes"]
    (manager,) = config["alerting"]["alertmanagers"]
    (target,) = (target for found in manager["static_configs"] for target in found["targets"])
    name, _, port = target.partition(":")
    service = COMPOSE["services"][name]
    assert f"127.0.0.1:{port}:{port}" in service["ports"]
    assert "./deploy/alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro" in service["volumes"]


def test_the_jobs_that_rules_know_are_those_that_prometheus_scrapes() -> None:
    expressions = " ".join(rule["expr"] for rule in ALERTS.values())
    asked = {job for names in re.findall(r'job=~?"([\w|]+)"', expressions) for job in names.split("|")}
    assert asked == _scraped_jobs()


def _scraped_jobs() -> set[str]:
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    return {job["job_name"] for job in scraped}


def test_alertmanager_has_a_receiver_for_each_route_and_holds_back_only_alerts_that_exist() -> None:
    receivers = {receiver["name"] for receiver in ALERTMANAGER["receivers"]}
    root = ALERTMANAGER["route"]
    assert {root["receiver"], *(route["receiver"] for route in root["routes"])} == receivers
    for rule in ALERTMANAGER["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, values = re.fullmatch(r'(alertname|job)=~?"([\w|.*]+)"', matcher.strip()).groups()  # type: ignore[union-attr]
            known = {"alertname": set(ALERTS), "job": _scraped_jobs()}[label]
            for pattern in values.split("|"):
                assert [value for value in known if re.fullmatch(pattern, value)], matcher


def test_alertmanager_understands_its_settings() -> None:
    tool("amtool", "check-config", str(ROOT / "deploy" / "alertmanager.yml"))
