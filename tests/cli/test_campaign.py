"""`longwave campaign …` against the API of a running stack, and without one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.api.live import Live
from tests.cli.conftest import Terminal

TOML = """
name = "From the terminal"
tags = ["cli"]
smart_sending_hours = 0

[audience]
lists = ["people"]

[[messages]]
text = "Hello {first_name|there}"
"""


def written(folder: Path, text: str = TOML) -> str:
    file = folder / "campaign.toml"
    file.write_text(text)
    return str(file)


def test_from_a_file_to_everybody_accounted_for(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    made = campaign("create", written(tmp_path))
    assert "can be launched" in campaign("review", made)
    campaign("launch", made, "--wait", "--json", str(tmp_path / "run.json"))
    result = json.loads((tmp_path / "run.json").read_text())
    assert result["status"] == "finished"
    assert sum(result["states"].values()) == result["targeted"] > 1900
    assert result["residual"] == 0
    assert result["seconds"] > 0
    shown = campaign.json("show", made)
    assert {key: shown[key] for key in ("campaign", "targeted", "residual")} == {
        "campaign": made,
        "targeted": result["targeted"],
        "residual": 0,
    }
    assert "finished" in campaign("show", made)
    campaign("export", made, "--out", str(tmp_path / "who.csv"), "--state", "rejected", "--state", "undelivered")
    with (tmp_path / "who.csv").open() as file:
        failed = [row["number"] for row in csv.DictReader(file)]
    assert len(failed) == shown["states"]["rejected"] + shown["states"]["undelivered"] > 0
    retry = campaign("retry-failed", made)
    reasons = ("absent_subscriber", "filtered")
    chosen = ("--reason", reasons[0], "--reason", reasons[1])
    campaign("export", made, "--out", str(tmp_path / "who.txt"), "--format", "ndjson", *chosen)
    lines = (tmp_path / "who.txt").read_text().splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {*reasons}
    for wrong in (["--out", "who.txt"], ["--out", "-"], ["--out", "who.csv", "--format", "xlsx"]):
        campaign("export", made, *wrong, code=2)
        assert "csv, ndjson, parquet" in campaign.error
    campaign("export", made, "--out", "-", "--format", "csv", "--state", "sent", code=1)
    assert "unknown state 'sent'" in campaign.error
    stack.until(retry, lambda shown: shown["retry"]["recipients"] == len(failed))
    shown = campaign("show", retry)
    assert f"retry of   {made} (rejected, undelivered, expired)" in shown
    assert f"{len(failed):,} recipients in list retry-{made}-{retry}" in shown
    assert f"retried as {retry} draft" in campaign("show", made)
    assert f"(retry of {made})" in campaign("list", "--search", retry)
    campaign("retry-failed", made, "--state", "unknown", code=1)
    assert "may have arrived" in campaign.error
    campaign("retry-failed", made, "--reason", "campaign_canceled", code=1)
    assert "nothing to retry" in campaign.error


def test_list_duplicate_delete(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    made = campaign("create", written(tmp_path, TOML.replace("From the terminal", "Listed [red]")))
    copy = campaign("duplicate", made, "--name", "Listed again")
    actual = campaign.json("list", "--search", "listed")
    assert [item["id"] for item in actual["campaigns"]] == [copy, made]
    assert "Listed [red]" in campaign("list", "--search", "listed")
    assert campaign("delete", copy) == f"{copy} deleted"
    assert campaign.json("list", "--search", "listed")["total"] == 1


def test_commands_that_do_not_fit_the_status_are_refused(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    made = campaign("create", written(tmp_path))
    for command in ("pause", "resume", "cancel", "retry-failed"):
        campaign(command, made, code=1)
        assert campaign.error.startswith("error: ")
        assert made in campaign.error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name = \n", "line 1"),
        (TOML + "\n[[", "line"),
        (TOML + '\ncolour = "red"\n', "messages.0.colour: unknown field"),
        (TOML.replace("tags", "tag"), "tag: unknown field"),
        (TOML.replace('["people"]', "7"), "audience.lists"),
    ],
)
def test_a_wrong_file_names_itself_and_the_place(
    stack: Live, campaign: Terminal, tmp_path: Path, text: str, error: str
) -> None:
    file = written(tmp_path, text)
    campaign("create", file, code=1)
    assert campaign.error.startswith(f"error: {file}")
    assert error in campaign.error
    assert "Traceback" not in campaign.error


def test_review_that_forbids_the_launch_exits_1(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    made = campaign("create", written(tmp_path, TOML.replace("first_name|there", "shoe_size")))
    said = campaign("review", made, code=1)
    assert "problem: messages.0.text: no contact of the audience has a value of {shoe_size}" in said
    campaign("launch", made, code=1)
    assert "not launched" in campaign.error
    assert "{shoe_size}" in campaign.error


@pytest.mark.parametrize(
    "words",
    [["show"], ["launch"], ["review"], ["cancel"], ["export", "--out", "x.csv"], ["resolve", "--as", "sent"]],
)
@pytest.mark.parametrize("wrong", ["zzzzzzzz", "../healthz"])
def test_unknown_ids(stack: Live, campaign: Terminal, words: list[str], wrong: str) -> None:
    campaign(words[0], wrong, *words[1:], code=1)
    assert f"no campaign '{wrong}'" in campaign.error
    assert not Path("x.csv").exists()


def test_files_that_cannot_be_read_or_written(stack: Live, campaign: Terminal, tmp_path: Path) -> None:
    campaign("create", str(tmp_path / "absent.toml"), code=1)
    assert "absent.toml: No such file" in campaign.error
    (tmp_path / "binary.toml").write_bytes(b'name = "a"\n\xff')
    campaign("create", str(tmp_path / "binary.toml"), code=1)
    assert "not UTF-8 text (line 2)" in campaign.error
    made = campaign("create", written(tmp_path))
    campaign("export", made, "--out", str(tmp_path / "who.xlsx"), code=2)
    assert "csv, ndjson, parquet" in campaign.error
    campaign("show", made, "--json", "/proc/nowhere/out.json", code=1)
    assert "cannot write /proc/nowhere/out.json" in campaign.error


def test_without_an_api_it_says_where_it_looked(
    campaign: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LONGWAVE_API__PORT", "9")
    for words in (["list"], ["show", "zzzzzzzz"], ["create", written(tmp_path)]):
        campaign(*words, code=1)
        assert "cannot reach the API at http://127.0.0.1:9" in campaign.error
        assert "is the stack up? `longwave up`" in campaign.error
