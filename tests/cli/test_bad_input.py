"""Mistakes of users and parts that are away: one clear line, exit code 1 or 2, never a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import children
from tests.api.live import Live, spec
from tests.stack import environment, free_ports, running


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """The variables of a stack of which nothing runs."""
    return environment(tmp_path)


def said(words: list[str], variables: dict[str, str], code: int) -> str:
    """What `longwave WORDS` says on standard error, in a process of its own, when it ends with `code`."""
    # What another test's stack set must not reach this process.
    inherited = {name: value for name, value in children.environment().items() if not name.startswith("LONGWAVE_")}
    env = {**inherited, **variables}
    done = subprocess.run(children.command(*words), env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr
    return "\n".join(map(message_of, done.stderr.strip().splitlines()))


def message_of(line: str) -> str:
    """What a line says: the processes of the stack write a log, whose lines are JSON where nobody sits before it."""
    return str(json.loads(line)["message"]) if line.startswith("{") else line


def one_line(words: list[str], variables: dict[str, str]) -> str:
    """The one line of an error that is not about the command's use."""
    line = said(words, variables, 1)
    assert line.startswith(("error: ", "longwave clickhouse: ")), line
    assert "\n" not in line, line
    return line


def refused(live: Live, name: str, **changes: object) -> str:
    """What the launch of such a campaign says."""
    made = live.create(**{**spec(), "name": name, **changes})
    return one_line(["campaign", "launch", made["id"]], live.variables)


# Campaigns that cannot go out


def test_an_unknown_list_is_named(live: Live) -> None:
    line = refused(live, "Unknown list", audience={"lists": ["people", "poeple"]})
    assert "not launched" in line
    assert "poeple" in line


def test_a_field_that_no_contact_has_is_named(live: Live) -> None:
    assert "{shoe_size}" in refused(live, "Field", messages=[{"text": "Size {shoe_size}"}])


def test_an_empty_audience_of_a_campaign(live: Live) -> None:
    line = refused(live, "Nobody", audience={"numbers": ["999999"]})
    assert "audience: no recipients" in line


def test_launched_twice(live: Live) -> None:
    made = live.create(name="Twice from the terminal", audience={"numbers": ["+12025550177"]})
    assert said(["campaign", "launch", made["id"]], live.variables, 0) == ""
    line = one_line(["campaign", "launch", made["id"]], live.variables)
    assert f"campaign {made['id']} is" in line
    assert "only a draft can be launched" in line


def test_an_id_that_does_not_exist(live: Live) -> None:
    for word in ("show", "launch", "pause", "resume", "cancel", "duplicate", "delete", "retry-failed"):
        assert "zzzzzzzz" in one_line(["campaign", word, "zzzzzzzz"], live.variables)


def test_files_with_a_mistake_name_the_place(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('name = "x"\ntags = [\n')
    assert "line" in one_line(["campaign", "create", str(file)], live.variables)
    file.write_text('name = "x"\nnames = "y"\n[audience]\nlists = ["people"]\n[[messages]]\ntext = "Hi"\n')
    line = one_line(["campaign", "create", str(file)], live.variables)
    assert line.startswith(f"error: {file}: ")
    assert "names: unknown field" in line


# Parts that are away


@pytest.mark.parametrize(
    "words",
    [
        ["campaign", "list"],
        ["campaign", "launch", "zzzzzzzz"],
        ["campaign", "export", "zzzzzzzz", "--out", "x.csv"],
    ],
)
def test_without_the_api(alone: dict[str, str], words: list[str]) -> None:
    line = one_line(words, alone)
    assert alone["LONGWAVE_API__PORT"] in line or "longwave up" in line


def test_without_kafka(alone: dict[str, str]) -> None:
    for words in (["dead-letters", "list"], ["dead-letters", "drop", "lanes/0/1"], ["run", "topics"]):
        line = said(words, alone, 1)
        assert "error: " in line
        assert alone["LONGWAVE_KAFKA__BOOTSTRAP"] in line


def test_without_clickhouse(alone: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("phone\n+12125550123\n")
    for words in (["contacts", "import", str(tmp_path / "people.csv"), "--list", "people"], ["run", "migrate"]):
        line = said(words, alone, 1)
        assert "error: " in line
        assert "ClickHouse" in line


@pytest.mark.parametrize("name", ["worker", "writer", "ingress", "api"])
def test_a_process_that_starts_before_kafka_waits_and_says_so(
    alone: dict[str, str], tmp_path: Path, name: str
) -> None:
    with running(["run", name], alone, tmp_path / name) as child:
        log = tmp_path / name / "log"
        for _ in range(300):
            if alone["LONGWAVE_KAFKA__BOOTSTRAP"].partition(":")[2] in log.read_text() or child.poll() is not None:
                break
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.2)
        assert child.poll() is None, log.read_text()
        assert alone["LONGWAVE_KAFKA__BOOTSTRAP"].partition(":")[2] in log.read_text()
    assert "Traceback" not in log.read_text()


# Ports and settings


@pytest.fixture
def taken() -> Iterator[int]:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        yield port


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("api", "LONGWAVE_API__PORT"),
        ("ingress", "LONGWAVE_INGRESS__PORT"),
        ("aggregator", "LONGWAVE_AGGREGATOR__PORT"),
        ("clickhouse", "LONGWAVE_CLICKHOUSE__PORT"),
        ("worker", "LONGWAVE_METRICS_PORT"),
    ],
)
def test_a_taken_port_is_named(alone: dict[str, str], taken: int, name: str, variable: str) -> None:
    assert str(taken) in one_line(["run", name], {**alone, variable: str(taken)})


def test_settings_with_a_mistake(tmp_path: Path, alone: dict[str, str]) -> None:
    file = tmp_path / "longwave.toml"
    for text, expected in (
        ("data = \n", "not valid TOML"),
        ("dada = 1\n", "dada"),
        ("[kafka]\nlanes = 0\n", "kafka.lanes"),
        ("[accounts.a]\n", "accounts"),
    ):
        file.write_text(text)
        for words in (["campaign", "list"], ["run", "worker"]):
            line = said(["--config", str(file), *words], {}, 1)
            assert line.startswith("error: ")
            assert str(file) in line
            assert expected in line


@pytest.mark.parametrize(
    "words",
    [
        ["campaign", "lanch", "x"],
        ["campaign", "launch"],
        ["campaign", "export", "zzzzzzzz", "--out", "who.xlsx"],
        ["dead-letters", "drop"],
        ["up", "--workers", "-1"],
        ["contacts", "import"],
    ],
)
def test_wrong_use_exits_with_2(alone: dict[str, str], words: list[str]) -> None:
    assert said(words, alone, 2)


def test_an_outcome_that_there_is_not_and_a_file_that_is_not_there(alone: dict[str, str], tmp_path: Path) -> None:
    words = ["campaign", "resolve", "0000000a", "--as"]
    assert "choose sent, not-sent or resend" in said([*words, "perhaps"], alone, 2)
    absent = str(tmp_path / "absent.txt")
    assert f"cannot read {absent}" in one_line([*words, "sent", "--numbers", absent], alone)
