"""The documentation: it builds without a warning, loads nothing from elsewhere, and is true to the code."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import BaseModel

from adapters.settings import Settings
from schemas import metrics, topics
from schemas.reasons import Reason

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE = ("schemas", "pipeline", "adapters", "agents", "api", "cli", "devstack", "simulation", "loadtest", "tests")
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
ROOMS = (*CODE, "dashboards", "deploy", "docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class _Loads(HTMLParser):
    """The addresses that a browser fetches by itself for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe"):
            self.addresses.append(values.get("src") or "")
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.addresses.append(values.get("href") or "")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert not [address for address in loads.addresses if "//" in address], page.name


def test_the_references_have_every_metric_reason_topic_and_setting(site: Path) -> None:
    described = (site / "operating" / "metrics.html").read_text(encoding="utf-8")
    assert not [metric._name for metric in metrics.ALL if metric._name not in described]
    explained = (site / "operating" / "reasons.html").read_text(encoding="utf-8")
    assert not [reason for reason in Reason if f"<code>{reason}" not in explained]
    architecture = (site / "internals" / "architecture.html").read_text(encoding="utf-8")
    assert not [topic.name for topic in topics.ALL if f"<code>{topic.name}</code>" not in architecture]
    settings = (site / "operating" / "settings.html").read_text(encoding="utf-8")
    example = (ROOT / "longwave.toml.example").read_text(encoding="utf-8")
    names = set(re.findall(r"^(\w+) = ", example, re.MULTILINE)) - {"US", "CA"}
    assert not [name for name in names if f"<code>{name}</code>" not in settings]
    assert "<td></td>" not in settings, "a setting without a docstring"


def _paths_named(text: str) -> Iterator[str]:
    for quoted in re.findall(r"`([\w./*-]+)`", text):
        if quoted.partition("/")[0] in ROOMS and "/" in quoted:
            yield re.sub(r"[A-Z]{4,}", "*", quoted)  # `agents/NAME.py` stands for any name


def test_the_walk_is_short() -> None:
    walk = set(_paths_named((DOCS / "internals" / "walk.md").read_text(encoding="utf-8").partition("Beside this")[0]))
    assert len({path for path in walk if not path.startswith("tests/")}) <= 40


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_files_that_are_there(page: Path) -> None:
    named = set(_paths_named(page.read_text(encoding="utf-8")))
    assert not [path for path in sorted(named) if not list(ROOT.glob(path.rstrip("/")))]


def test_the_pages_name_only_metrics_that_are_declared() -> None:
    declared = {metric._name + ("_total" if metric._type == "counter" else "") for metric in metrics.ALL}
    named = {name for page in PAGES for name in re.findall(r"`(longwave_\w+)`", page.read_text(encoding="utf-8"))}
    assert named <= declared


def test_the_pages_name_only_settings_that_there_are() -> None:
    known = {
        f"{table}.{name}" for table, field in Settings.model_fields.items()
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel)
        for name in field.annotation.model_fields
    }  # fmt: skip
    tables = "|".join({name.partition(".")[0] for name in known})
    named = {
        name for page in PAGES for name in re.findall(rf"`((?:{tables})\.\w+)", page.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= known


def test_the_pages_name_only_commands_that_there_are(site: Path) -> None:
    reference = (site / "operating" / "commands.html").read_text(encoding="utf-8")
    known = set(re.findall(r"<code>longwave ([\w -]+)</code>", reference))
    first, pairs = {command.split()[0] for command in known}, {tuple(command.split()[:2]) for command in known}
    grouped = {pair[0] for pair in pairs if len(pair) > 1}
    wrong = []
    for page in PAGES:
        for words in re.findall(
            r"(?:`|\$ )longwave ((?:[a-z][\w-]*)(?: [a-z][\w-]*)?)", page.read_text(encoding="utf-8")
        ):
            name, _, second = words.partition(" ")
            if name not in first or (name in grouped and second and (name, second) not in pairs):
                wrong.append(f"{page.name}: longwave {words}")
    assert not wrong


def test_the_pages_name_only_routes_that_there_are(site: Path) -> None:
    reference = (site / "connecting" / "api.html").read_text(encoding="utf-8")
    known = {re.sub(r"\{\w+\}", "*", path) for path in re.findall(r"<code>[A-Z]+ (/v1/[^<]+)</code>", reference)}
    named = {
        re.sub(r"\{\w+\}|(?<=/)[A-Z]+", "*", path)
        for page in PAGES
        for path in re.findall(r"`(?:GET|POST|PUT|DELETE) (/v1/[\w/{}-]+)`", page.read_text(encoding="utf-8"))
    }
    ingress = {"/v1/receipts/*", "/v1/inbound/*"}
    assert named - ingress <= known


def test_the_code_names_only_documents_that_are_there() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {page}"
        for room in CODE
        for path in (ROOT / room).rglob("*.py")
        for page in re.findall(r"docs/[\w/-]+\.md|\bDESIGN\b", path.read_text(encoding="utf-8"))
        if not (ROOT / page).is_file() and path != Path(__file__)
    ]
    assert not missing
