"""A command imports what it needs and no more: help and the commands that ask the API answer at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import free_ports

SALE = str(Path(__file__).parent.parent.parent / "loadtest" / "sample" / "campaigns" / "flash_sale.toml")
SERVERS = {"fastapi", "uvicorn", "faust", "aiokafka", "confluent_kafka", "clickhouse_connect", "chdb", "matplotlib"}
RULES = {"numpy", "pyarrow", "holidays", "phonenumbers", "pyroaring"}
LOOK = """
import sys
from cli.main import run
code = run(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported(*arguments: str, variables: dict[str, str] | None = None) -> tuple[int, set[str], str]:
    """Exit code of a command line, what was imported for it, and what it said on standard error."""
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments], capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin", **(variables or {})}, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    *said, last = ran.stderr.splitlines()
    code, *names = last.split()
    return int(code), set(names), "\n".join(said)


def test_help_imports_no_server_no_rule_and_no_settings() -> None:
    code, names, _ = imported("--help")
    assert code == 0
    assert not names & (SERVERS | RULES | {"pydantic", "pydantic_settings", "rich"})
    assert "typer" in names, "nothing was imported, so nothing was shown"


@pytest.mark.parametrize("command", [("campaign", "list"), ("forecast", SALE), ("optouts", "show", "+12125550123")])
def test_commands_that_ask_the_api_import_no_server_and_no_rule(command: tuple[str, ...]) -> None:
    port = free_ports(1)[0]
    code, names, said = imported(*command, variables={"LONGWAVE_API__PORT": str(port)})
    assert code == 1
    assert f"cannot reach the API at http://127.0.0.1:{port}" in said
    assert not names & (SERVERS | RULES)


def test_a_forecast_to_sample_people_needs_no_client_of_a_server() -> None:
    code, names, said = imported("forecast", SALE, "--recipients", "100")
    assert code == 0, said
    assert not names & SERVERS
    assert names >= {"numpy", "phonenumbers"}


def test_tables_are_made_without_pandas() -> None:
    look = "import sys, {}pyarrow; pyarrow.array([1]); print('pandas.core' in sys.modules)"
    said = [
        subprocess.run(
            [sys.executable, "-c", look.format(first)], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for first in ("", "adapters, ")
    ]
    assert said[0] == "True\n", "pyarrow imports pandas no more: adapters/__init__.py can go"
    assert said[1] == "False\n"
