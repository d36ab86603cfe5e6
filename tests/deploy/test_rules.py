"""The alert rules: promtool understands them, they fire and end when they should, and their metrics exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy" / "rules").glob("*.yml"))
TESTS = Path(__file__).parent / "rules"
NAMES = {name for metric in metrics.ALL for name in (described.name for described in metric.describe())}


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_rules_are_understood_and_do_what_their_tests_say(file: Path) -> None:
    promtool("check", "rules", str(file))
    promtool("test", "rules", str(TESTS / file.name))


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_every_alert_has_a_test_and_its_metrics_exist(file: Path) -> None:
    tested = (TESTS / file.name).read_text()
    for rule in rules(file):
        assert f"alertname: {rule['alert']}" in tested
        for name in re.findall(r"longwave_\w+", rule["expr"]):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in NAMES, name
        assert {"summary", "description"} <= rule["annotations"].keys()


def test_prometheus_loads_them() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules/*.yml"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert "./deploy/rules:/etc/prometheus/rules:ro" in compose["services"]["prometheus"]["volumes"]


def rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
