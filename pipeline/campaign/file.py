"""A campaign as a TOML file, and what such a file would change."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.campaign import DraftFile, DraftSpec

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_MOST_IN_A_LINE: Final = 5


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a campaign (`messages.0.text`) before and after; None: it is not there. Of a list (such as tags)
    only the items that are taken out and put in: none where it only gets another order."""

    field: str
    before: Any
    after: Any


def file_of(campaign: str, spec: DraftSpec) -> DraftFile:
    """The file of a campaign: it names the campaign by its key, or by its id where it has none."""
    return DraftFile(**{**_given(spec), "id": None if spec.key else campaign})


def toml_of(spec: DraftSpec) -> str:
    """The TOML of a draft, without what is at its default; reading it gives the same draft."""
    given = _given(spec)
    if isinstance(spec, DraftFile) and spec.id is not None:
        given = {"id": spec.id, **given}
    return "\n".join(_table(given, ())) + "\n"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """What differs between two JSON forms of drafts, in the order of the fields."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    fields = [*old, *(field for field in new if field not in old)]
    return [_change(field, old.get(field), new.get(field)) for field in fields if old.get(field) != new.get(field)]


def _change(field: str, before: Any, after: Any) -> FieldChange:
    if isinstance(before, list) and isinstance(after, list):
        # By count, not by place: a hundred thousand numbers are compared in one pass.
        old, new = Counter(before), Counter(after)
        return FieldChange(field, list((old - new).elements()), list((new - old).elements()))
    return FieldChange(field, before, after)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, str(index)))
    elif value is not None and (value != [] or path[0] != "messages"):
        yield ".".join(path), value


def _given(spec: DraftSpec) -> dict[str, Any]:
    """The fields of a draft that are not at their defaults, as Python has them."""
    given: dict[str, Any] = spec.model_dump(exclude_defaults=True, exclude={"id"})
    if spec.messages:
        given["messages"] = [
            {"text": message.text, **({"links": _addresses(message.links)} if message.links else {})}
            for message in spec.messages
        ]
    return given


def _addresses(links: Mapping[str, object]) -> dict[str, str]:
    return {name: str(address) for name, address in links.items()}


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: in TOML what follows a table belongs to it."""
    inner = {name: value for name, value in table.items() if _is_table(value)}
    for name, value in table.items():
        if name not in inner:
            yield f"{_key(name)} = {_value(value)}"
    for name, value in inner.items():
        where = (*path, name)
        header = ".".join(map(_key, where))
        for item in value if isinstance(value, list) else [value]:
            yield ""
            yield f"[[{header}]]" if isinstance(value, list) else f"[{header}]"
            yield from _table(item, where)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return _array([_value(item) for item in value])
    return _text(str(value))


def _array(items: list[str]) -> str:
    if len(items) <= _MOST_IN_A_LINE:
        return f"[{', '.join(items)}]"
    # A line for each: version control shows what was added.
    return "[\n" + "".join(f"  {item},\n" for item in items) + "]"


def _text(text: str) -> str:
    # A string of JSON is one of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
