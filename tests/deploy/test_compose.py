"""docker-compose.yml, deploy/ and longwave.toml.example against the program: no container is needed for that."""

from __future__ import annotations

import http.server
import logging
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from adapters import settings as configuration
from adapters import terminal
from adapters.clickhouse.views import declared
from adapters.settings import Settings
from cli.main import run
from devstack import plan

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "longwave"}


def _interpolated(value: str) -> str:
    """As compose does with `${NAME:?why}` (given by the operator) and `${NAME:-default}`."""
    value = re.sub(r"\$\{\w+:\?[^}]*\}", "given", value)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _settings(monkeypatch: pytest.MonkeyPatch, service: dict[str, Any]) -> Settings:
    monkeypatch.setenv("LONGWAVE_CONFIG", str(ROOT / "longwave.toml.example"))
    for name, value in service["environment"].items():
        secret = re.search("SECRET|TOKEN_KEY", name)
        monkeypatch.setenv(name, "f00d" * 16 if secret else _interpolated(value))
    return configuration.load()


@pytest.fixture
def own_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`longwave run` makes this process's standard error the log of a process; afterwards it is as before."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    for where, name in ((terminal, "_notes"), (sys, "excepthook"), (root, "level")):
        monkeypatch.setattr(where, name, getattr(where, name))
    yield
    root.handlers[:] = before
    logging.captureWarnings(False)


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize("name", OURS)
def test_each_command_of_ours_exists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*OURS[name]["command"], "--help"]) == 0
    assert f"longwave {' '.join(OURS[name]['command'])}" in capsys.readouterr().out


@pytest.mark.usefixtures("own_log")
def test_a_command_that_does_not_exist_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "workerr", "--help"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_every_process_of_the_stack_is_there() -> None:
    assert {tuple(service["command"]) for service in OURS.values()} == {
        ("run", name) for name in ("topics", "migrate", "aggregator", "writer", "ingress", "worker", "api")
    }
    assert {"kafka", "clickhouse", "prometheus", "grafana"} <= set(COMPOSE["services"])


def test_its_variables_are_settings_and_point_at_its_services(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(monkeypatch, OURS["worker"])
    for name in OURS["worker"]["environment"]:
        assert name.removeprefix("LONGWAVE_").partition("__")[0].lower() in Settings.model_fields
    assert settings.kafka.bootstrap.partition(":")[0] in COMPOSE["services"]
    assert settings.clickhouse.host in COMPOSE["services"]
    assert settings.aggregators["local"].url == f"http://aggregator:{settings.aggregator.port}/v1/messages"
    for name, port in (("api", settings.api.port), ("ingress", settings.ingress.port)):
        assert [item.split(":")[-2:] for item in COMPOSE["services"][name]["ports"]] == [[str(port), str(port)]]


def test_every_dependency_is_a_service_with_that_condition() -> None:
    for service in COMPOSE["services"].values():
        for other, need in service.get("depends_on", {}).items():
            target = COMPOSE["services"][other]
            assert need["condition"] != "service_healthy" or "healthcheck" in target


@pytest.mark.parametrize("name", ["aggregator", "writer", "ingress", "worker", "api"])
def test_compose_asks_each_process_whether_it_is_ready(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(monkeypatch, OURS[name])
    # Where others ask them: a server that does not answer there is not ready, whatever its port for metrics says.
    own = {"api": settings.api.port, "ingress": settings.ingress.port}
    url = (
        f"http://127.0.0.1:{own[name]}"
        if name in own
        else plan.base_url(settings, name.replace("worker", "worker-0"))
    )
    assert OURS[name]["healthcheck"]["test"][-1] == f"{url}/readyz"


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_its_health_check_fails_while_the_process_is_not_ready(status: int, well: bool) -> None:
    class Says(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    first, python, *words, _ = OURS["writer"]["healthcheck"]["test"]
    assert (first, python) == ("CMD", "python")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/readyz"
        done = subprocess.run([sys.executable, *words, url], capture_output=True, check=False, timeout=120)
        server.shutdown()
    assert (done.returncode == 0) is well


def test_no_secret_has_a_default_there() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN_KEY", name):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), name


def test_grafana_may_read_the_views_and_no_phone_number() -> None:
    users = ElementTree.parse(ROOT / "deploy" / "clickhouse" / "users.xml").getroot()
    granted = [query.text or "" for query in users.iterfind("users/grafana/grants/query")]
    readable = {found[1] for one in granted if (found := re.fullmatch(r"GRANT SELECT.* ON longwave\.(\w+)", one))}
    shown = [view for view in declared() if not {"number"} & {column.name for column in view.columns}]
    assert {view.name for view in shown} == {view.name for view in declared()} - {"recipient_states"}
    assert readable == {view.name for view in shown} | {table for view in shown for table in view.tables}
    assert not [one for one in granted if "spec" in one], "typed numbers are in a campaign's spec"
    for user in users.iterfind("users/*"):
        assert users.findtext(f"profiles/{user.findtext('profile')}/readonly") == "2"
        password = user.find("password")
        assert password is not None
        assert password.attrib["from_env"] in COMPOSE["services"]["clickhouse"]["environment"]


def test_prometheus_scrapes_where_our_processes_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(
        ["promtool", "check", "config", ROOT / "deploy" / "prometheus.yml"], check=True, capture_output=True
    )
    settings = _settings(monkeypatch, OURS["worker"])
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    actual = {
        **{sd["names"][0]: sd["port"] for job in jobs for sd in job.get("dns_sd_configs", ())},
        **{
            t.split(":")[0]: int(t.split(":")[1])
            for j in jobs
            for s in j.get("static_configs", ())
            for t in s["targets"]
        },
    }
    assert actual == {
        "worker": settings.metrics_port,
        "writer": settings.metrics_port - 1,
        "api": settings.metrics_port - 2,
        "ingress": settings.metrics_port - 3,
    }


def test_the_image_holds_every_package_and_file_it_names() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= names
    assert all((ROOT / name).exists() for name in names)


def test_the_example_settings_are_valid_and_keep_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    example = ROOT / "longwave.toml.example"
    monkeypatch.setenv("LONGWAVE_CONFIG", str(example))
    given = configuration.load()
    monkeypatch.setenv("LONGWAVE_CONFIG", "/dev/null")
    monkeypatch.setattr(configuration, "config_file", lambda: Path("absent.toml"))
    monkeypatch.delenv("LONGWAVE_CONFIG")
    default = Settings()
    for name in tomllib.loads(example.read_text()):
        if name not in ("token_key", "prices", "aggregators"):
            assert getattr(given, name) == getattr(default, name), name
    assert given.aggregators["local"] == default.aggregators["local"], "beside it stand examples of other kinds"
