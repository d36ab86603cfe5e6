"""The arrows between the packages: schemas ← pipeline ← agents; schemas ← adapters ← agents, api, cli."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parent.parent
LAYOUT = tomllib.loads((ROOT / "tests" / "layout.toml").read_text(encoding="utf-8"))
ALLOWED: dict[str, list[str] | Literal["all"]] = LAYOUT["packages"]
PACKAGES = tuple(ALLOWED)
ORDER: dict[str, list[str]] = LAYOUT["order"]
"""What a folder holds, in an order: each may import those before it."""
NO_RULES = {"__init__", "__pycache__", "rules"}
"""Names in those folders that are not code: `pipeline/rules/` holds dated facts."""
CLOCKS_AND_IO = {
    "time", "random", "socket", "asyncio", "threading", "subprocess", "os", "requests", "aiohttp", "aiokafka",
    "confluent_kafka", "clickhouse_connect", "chdb", "faust", "prometheus_client",
}  # fmt: skip

CLIENTS = {
    "confluent_kafka": {"AdminClient", "Consumer", "Producer"},
    "aiokafka": {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient"},
    "aiohttp": {"ClientSession", "TCPConnector"},
    "urllib": {"urlopen", "build_opener", "Request"},
    "http": {"HTTPConnection", "HTTPSConnection"},
    "clickhouse_connect": {"get_client", "get_async_client"},
}
"""What makes a client, by library: only `adapters/` calls it."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """(package, line) of each import; a module is read once for all tests."""
    actual: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            actual += [(alias.name.split(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            actual.append((node.module.split(".")[0], node.lineno))
    return actual


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imports(path)
        if name in PACKAGES and name != package and ALLOWED[package] != "all" and name not in ALLOWED[package]
    ]
    assert not wrong


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder in ORDER for name in ORDER[folder]])
def test_rules_import_only_rules_before_them(folder: str, name: str) -> None:
    later = ORDER[folder][ORDER[folder].index(name) + 1 :]
    home = ROOT / folder / name
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} imports {node.module}"
        for path in (home.rglob("*.py") if home.is_dir() else [home.with_suffix(".py")])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for after in later
        if f"{node.module}.".startswith(f"{folder.replace('/', '.')}.{after}.")
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ORDER)
def test_every_rule_has_its_place_in_the_order(folder: str) -> None:
    assert {path.stem for path in (ROOT / folder).iterdir() if path.stem not in NO_RULES} == {*ORDER[folder]}


@pytest.mark.parametrize("package", ["schemas", "pipeline"])
def test_rules_know_no_clock_and_no_io(package: str) -> None:
    metrics = ROOT / "schemas" / "metrics.py"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(package)
        for name, line in imports(path)
        if name in CLOCKS_AND_IO and path != metrics
    ]
    assert not wrong


def test_only_agents_import_faust() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        if package != "agents"
        for path in modules(package)
        for name, _ in imports(path)
        if name == "faust"
    ]
    assert not wrong


def made_clients(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of each call that makes a client."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = ast.unparse(node.func).split(".")
            parts = [*names.get(first, "").split("."), *rest]
            if parts[-1] in CLIENTS.get(parts[0], ()):
                yield ".".join(parts), node.lineno


def test_only_adapters_make_clients() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} makes a {name}"
        for package in PACKAGES
        if package != "adapters"
        for path in modules(package)
        for name, line in made_clients(path)
    ]
    assert not wrong
    made = {name for path in modules("adapters") for name, _ in made_clients(path)}
    assert {name.split(".")[0] for name in made} == {*CLIENTS} - {"http"}, "the search finds those of adapters/"


def test_every_module_has_a_docstring() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if path.read_text(encoding="utf-8").strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert not silent
