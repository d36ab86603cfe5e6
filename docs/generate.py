"""The parts of the documentation that come from the code, as a hook of MkDocs.

A page that has a line `<!-- generated: NAME -->` gets the Markdown of `GENERATORS[NAME]()` there whenever the site is
built, so a reference cannot be out of date.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # MkDocs does not run in the project's package.

_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this with the Markdown of each page.

    Raises:
        KeyError: a marker names no generator.
    """
    return _MARKER.sub(lambda match: GENERATORS[match[1]](), markdown)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def settings() -> str:
    """A section for each table of `longwave.toml`."""
    from adapters.settings import Settings

    return "\n\n".join(_sections(Settings, "", Settings.model_construct(), ""))


def accounts() -> str:
    """A section for each table of a file of accounts."""
    from schemas.accounts import AccountSpec, PriceEntry, SenderSpec

    parts = [
        _sections(AccountSpec, "accounts.NAME", AccountSpec.model_construct(), ""),
        _sections(SenderSpec, "accounts.NAME.senders.NAME", None, ""),
        _sections(PriceEntry, "prices.NAME", None, ""),
    ]
    return (
        "\n\n".join(section for part in parts for section in part)
        .replace("\n## ", "\n### ")
        .replace("## ", "### ", 1)
    )


def metrics() -> str:
    """Every metric in the order in which `schemas/metrics.py` declares them."""
    from schemas import metrics as declared

    by_id = {id(metric): metric for metric in declared.ALL}
    in_order = [by_id[id(value)] for value in vars(declared).values() if id(value) in by_id]
    rows = (
        (
            f"`{metric._name}{'_total' if metric._type == 'counter' else ''}`",
            str(metric._type),
            ", ".join(f"`{label}`" for label in metric._labelnames) or "–",
            metric._documentation,
        )
        for metric in in_order
    )
    return table(("metric", "type", "labels", "meaning"), rows)


def topics() -> str:
    """Every Kafka topic in the order in which a message travels."""
    from schemas import topics as declared

    def kept(config: dict[str, str]) -> str:
        if config["cleanup.policy"] == "compact":
            return "compacted"
        hours = int(config["retention.ms"]) / 3_600_000
        return f"{hours / 24:g} days" if hours > 0 else "until its reader deletes them"

    rows = ((f"`{topic.name}`", topic.key, kept(topic.config), topic.carries) for topic in declared.ALL)
    return table(("topic", "key", "kept", "carries"), rows)


def commands() -> str:
    """Every command of `longwave` with what it does."""
    from typer.main import get_command

    from cli.main import app

    group: Any = get_command(app)
    with group.make_context("longwave", [], resilient_parsing=True) as context:
        rows = [row for name in group.list_commands(context) for row in _commands(group, context, name, "longwave")]
    return table(("command", "does"), rows)


def routes() -> str:
    """Every route of the REST API with what it does."""
    from adapters.settings import Settings
    from api.server import create_app

    paths = create_app(Settings()).openapi()["paths"]
    rows = (
        (f"`{method.upper()} {path}`", _first_sentence(operation.get("description") or operation.get("summary", "")))
        for path, operations in sorted(paths.items())
        for method, operation in operations.items()
        if method in ("get", "post", "put", "patch", "delete")
    )
    return table(("route", "does"), rows)


def states() -> str:
    """The states of a recipient in the order of `schemas/succession.py`: a later one replaces an earlier one."""
    from schemas import succession

    turn = " → ".join(f"`{state}`" for state in succession.BY_ATTEMPT)
    upper = sorted((*succession.FINAL, *succession.SUBMITTED[1:]), key=lambda state: succession.rank(state, 0))
    after = [state for state in upper if state not in succession.FINAL]
    return (
        f"1. Waiting, in this order within an attempt: {turn}. A retry begins the next attempt.\n"
        f"2. Or never submitted, final: {' · '.join(f'`{state}`' for state in succession.FINAL)}.\n"
        f"3. Submitted, from the lowest rank to the highest: {' → '.join(f'`{state}`' for state in after)}."
    )


def actions() -> str:
    """What a person may do to a campaign in each status."""
    from pipeline.campaign.actions import ACTIONS

    rows = ((f"`{status}`", ", ".join(allowed)) for status, allowed in ACTIONS.items() if allowed)
    return table(("status", "allows"), rows)


def packages() -> str:
    """The packages, with what each may import."""
    allowed = _layout()["packages"]
    rows = (
        (
            f"`{name}/`",
            "all of them" if imports == "all" else ", ".join(f"`{package}/`" for package in imports) or "none",
            _first_sentence(_docstring(ROOT / name / "__init__.py")),
        )
        for name, imports in allowed.items()
    )
    return table(("package", "may import", "is"), rows)


def pipeline() -> str:
    """The packages of `pipeline/`, drawn in the order in which they may import each other."""
    return _drawn("pipeline")


def sending() -> str:
    """The parts of `pipeline/sending/`, drawn in the same way."""
    return _drawn("pipeline/sending")


def reasons() -> str:
    """Every reason with its states, its meaning, and what to do."""
    from schemas.reasons import reasons_markdown

    return reasons_markdown()


def views() -> str:
    """A section for each view of ClickHouse: what it holds, and every column with its type and unit."""
    from adapters.clickhouse.views import declared

    sections = []
    for view in declared():
        rows = ((f"`{column.name}`", f"`{column.type}`", column.meaning) for column in view.columns)
        sections.append(f"### {view.name}\n\n{view.meaning}\n\n{table(('column', 'type', 'meaning'), rows)}")
    return "\n\n".join(sections)


GENERATORS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "accounts": accounts,
    "metrics": metrics,
    "topics": topics,
    "commands": commands,
    "routes": routes,
    "states": states,
    "reasons": reasons,
    "views": views,
    "actions": actions,
    "packages": packages,
    "pipeline": pipeline,
    "sending": sending,
}


def _sections(model: type[BaseModel], path: str, defaults: BaseModel | None, about: str) -> Iterator[str]:
    """The section of a model, then those of the models in it.

    `path` is its table in `longwave.toml`, "" at the top; `defaults` what holds where the file says nothing; `about`
    what the field that holds it says, "" for the model's own docstring.
    """
    docs = _attribute_docstrings(model)
    rows, below = [], []
    for name, field in model.model_fields.items():
        default = getattr(defaults, name, field.default)
        inner = list(_models(field.annotation))
        if not inner:
            rows.append((f"`{name}`", _type(field), _default(default), docs.get(name, "")))
            continue
        key = f"{path}.{name}" if path else name
        key += ".NAME" if get_origin(field.annotation) is dict else ""
        below += [
            (inner_model, key, default if isinstance(default, inner_model) else None, docs.get(name, ""))
            for inner_model in inner
        ]
    kind = _kind(model)
    title = f"## `[{path}]`" if path else "## Top level"
    yield "\n\n".join(
        (
            f"{title}{f' with `kind = {json.dumps(kind)}`' if kind else ''}",
            about or _first_paragraph(inspect.getdoc(model) or ""),
            table(("setting", "type", "default", "meaning"), rows) if rows else "",
        )
    )
    for section in below:
        yield from _sections(*section)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's type holds: itself, members of a union, or values of a dictionary."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is dict:
        yield from _models(get_args(annotation)[1])
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _models(member)


def _kind(model: type[BaseModel]) -> str:
    """The value of `kind` that chooses this model, "" where nothing is chosen."""
    field = model.model_fields.get("kind")
    values = get_args(field.annotation) if field is not None else ()
    return str(values[0]) if len(values) == 1 else ""


def _type(field: FieldInfo) -> str:
    limits = [_limit(constraint) for constraint in field.metadata]
    return ", ".join((_type_name(field.annotation), *filter(None, limits)))


def _limit(limit: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    for name, sign in signs.items():
        if (value := getattr(limit, name, None)) is not None:
            return f"{sign} {value:,}".replace(",", "\u202f")
    if (most := getattr(limit, "max_length", None)) is not None:
        return f"at most {most} long"
    if (least := getattr(limit, "min_length", None)) is not None:
        return f"at least {least}"
    return ""


def _type_name(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(args[0])
    if origin is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in args)
    if origin in (Union, UnionType):
        return " or ".join(_type_name(arg) for arg in args if arg is not NoneType)
    if origin is dict:
        return f"table of {_type_name(args[1])}"
    if origin in (tuple, list, frozenset):
        return f"list of {_type_name(args[0])}"
    names = {str: "text", int: "integer", float: "number", bool: "true, false", SecretStr: "secret", Path: "path"}
    return names.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _default(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "–"
    if isinstance(default, SecretStr):
        return "of the local stack" if default.get_secret_value() else '`""`'
    return f"`{json.dumps(str(default) if isinstance(default, Path) else default, ensure_ascii=False)}`"


def _attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The text that stands below each field, also of a field that the model inherits."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (inspect.isclass(base) and issubclass(base, BaseModel)) or base.__module__.startswith("pydantic"):
            continue
        (class_body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(class_body, ast.ClassDef)
        for field, text in zip(class_body.body, class_body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _text_of(text):
                docs[field.target.id] = _joined(_text_of(text))
    return docs


def _text_of(node: ast.stmt) -> str:
    """The text of a docstring, "" for any other statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""


def _commands(group: Any, context: Any, name: str, path: str) -> Iterator[tuple[str, str]]:
    command = group.get_command(context, name)
    if not hasattr(command, "list_commands"):
        yield f"`{path} {name}`", _first_sentence(command.help or "")
        return
    with command.make_context(name, [], parent=context, resilient_parsing=True) as inner:
        for below in command.list_commands(inner):
            yield from _commands(command, inner, below, f"{path} {name}")


def _layout() -> dict[str, Any]:
    return tomllib.loads((ROOT / "tests" / "layout.toml").read_text(encoding="utf-8"))


def _drawn(folder: str) -> str:
    """What `folder` holds, in its order, each with what it imports of that; then what each is."""
    order: list[str] = _layout()["order"][folder]
    width = max(map(len, order))
    drawing = [
        f"{name.ljust(width)}  ←  {', '.join(_imported(folder, name, order)) or '(none of these)'}" for name in order
    ]
    sections = [f"{'#' * (3 + folder.count('/'))} {name}\n\n{_about(ROOT / folder / name)}" for name in order]
    return "```text\n" + "\n".join(drawing) + "\n```\n\n" + "\n\n".join(sections)


def _about(place: Path) -> str:
    """The docstring of a package, or the first sentence of a module's."""
    if place.is_dir():
        return _docstring(place / "__init__.py")
    return _first_sentence(_docstring(place.with_suffix(".py")))


def _imported(folder: str, name: str, order: Sequence[str]) -> list[str]:
    """What `name` imports of what `folder` holds, in its order."""
    place = ROOT / folder / name
    modules = {
        node.module
        for path in (place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    prefix = folder.replace("/", ".")
    return [
        other
        for other in order
        if other != name and any(f"{module}.".startswith(f"{prefix}.{other}.") for module in modules)
    ]


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _first_paragraph(text: str) -> str:
    return _joined(text.partition("\n\n")[0])


def _first_sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    return re.split(r"(?<=[.!?])\s", _first_paragraph(text) + " ", maxsplit=1)[0].strip()


def _joined(text: str) -> str:
    return " ".join(text.split())
