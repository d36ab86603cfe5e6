"""Runbooks: the commands of a page, found literally, and run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.terminal import UserError
from loadtest.rehearsal import runbook

PAGE = """# KafkaDown

Say `longwave down` if you must.

```console
$ longwave doctor                 # problems first
$ longwave campaign cancel CAMPAIGN
```
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "KafkaDown.md").write_text(PAGE)
    return tmp_path


def test_commands_are_the_lines_of_code_blocks(folder: Path) -> None:
    assert runbook.commands("KafkaDown", folder) == ["longwave doctor", "longwave campaign cancel CAMPAIGN"]


def test_what_does_not_stand_there_is_missing(folder: Path) -> None:
    assert runbook.missing("KafkaDown", ("longwave doctor", "longwave down"), folder) == ["longwave down"]
    with pytest.raises(UserError, match="no runbook"):
        runbook.commands("Nothing", folder)


def test_a_command_runs_with_its_placeholders_filled_in() -> None:
    ran = runbook.run("longwave rehearse NAME", {"NAME": ["--list"]}, os.environ)
    assert ran.code == 0
    assert "KafkaDown" in ran.said
    assert ran.command == "longwave rehearse NAME"
    assert runbook.run("longwave rehearse", {}, os.environ).code == 2


def test_only_our_own_commands_are_run() -> None:
    with pytest.raises(UserError, match="longwave only"):
        runbook.run("rm -r DATA", {}, os.environ)
