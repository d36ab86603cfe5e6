"""Which statements the local endpoint refuses: all that reach files, programs or the network.

The engine trusts whoever calls it, as a library should; over HTTP that would hand out this machine's files. What
is judged is the statement as the engine itself prints it back (`formatQuerySingleLine`), so comments, quotes, letter
case and look-alike characters cannot hide a name. Kinds of statements, table functions and engines are lists of
what is allowed: what a later engine adds is refused until somebody adds it here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from devstack.clickhouse.errors import refuse

ACCESS_DENIED: Final = 497

TABLE_FUNCTIONS: Final = frozenset((
    "format", "fuzzjson", "generaterandom", "generateseries", "generate_series", "input", "loop", "merge",
    "mergetreeindex", "mergetreeprojection", "null", "numbers", "numbers_mt", "primes", "sqlstandardvalues", "values",
    "view", "viewexplain", "viewifpermitted", "zeros", "zeros_mt",
))  # fmt: skip
"""Those that read nothing outside of the database."""
FUNCTIONS: Final = frozenset(("file", "disk", "catboostevaluate", "addresstoline", "addresstolinewithinlines"))
"""Other names with brackets that reach outside; the engine's `ai…` functions are refused besides."""
_STATEMENTS: Final = frozenset((
    "SELECT", "WITH", "INSERT", "CREATE", "DROP", "ALTER", "TRUNCATE", "OPTIMIZE", "DESCRIBE", "DESC", "SHOW",
    "EXISTS", "EXPLAIN", "CHECK", "SET", "USE", "RENAME", "EXCHANGE", "KILL", "DELETE", "UPDATE", "SYSTEM", "REPLACE",
    "",
))  # fmt: skip
"""First words; "" is a bracket."""
_CREATED: Final = frozenset(("TABLE", "VIEW", "MATERIALIZED", "DATABASE"))
_SYSTEM: Final = frozenset(("FLUSH", "STOP", "START", "SYNC", "DROP", "CLEAR"))
_ENGINES: Final = re.compile(
    r"(\w*MergeTree|Atomic|Ordinary|Memory|Null|Log|TinyLog|StripeLog|Set|Join|Buffer|Merge)"
)
_PAIRS: Final = {("INTO", "OUTFILE"), ("FROM", "INFILE"), ("PARALLEL", "WITH")}
_SETTING: Final = re.compile(
    r"(format_schema\w*|format_template\w*|format_avro_schema_registry\w*|output_format_schema|\w*_file_path|\w*dialect\w*"
    r"|url_base|cloud_mode\w*|default_\w*engine|\w*into_outfile\w*|rename_files\w*|allow_ddl)"
)
_PIECE: Final = re.compile(
    r"""(?P<space>\s+)|(?P<text>'(?:[^'\\]|\\.)*+')|`(?P<name>(?:[^`\\]|\\.)*+)`|(?P<word>[^\W\d]\w*)|(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_SUBSTITUTED: Final = re.compile(r"\{(\w+):\s*Identifier\}")
_WORD: Final = re.compile(r"\w+")


def check_statement(printed: str, foreign: frozenset[str]) -> tuple[str, ...]:
    """Refuse a statement that reaches outside of the database, whatever the values of its parameters are. `printed`:
    as the engine prints it; `foreign`: lower case names that may not be called. Returns the parameters of which the
    values are identifiers, for `check_identifiers`.

    Raises:
        ClickHouseError: 497, with what is refused.
    """
    words, calls, names, assigned = _pieces(printed)
    _check_kind(words)
    for pair in pairwise(words):
        if pair in _PAIRS:
            raise _denied(" ".join(pair))
    for name in calls:
        if name.lower() in foreign:
            raise _denied(f"{name}()")
    for name in names:
        if "/" in name or "\\" in name:
            raise _denied(f"the identifier `{name}`, which may name a file")
    check_settings(assigned)
    return tuple(_SUBSTITUTED.findall(printed))


def check_identifiers(names: Iterable[str], params: Mapping[str, str]) -> None:
    """Refuse parameters (of `names`, by `check_statement`) that are no plain identifiers.

    Raises:
        ClickHouseError: 497, naming the parameter.
    """
    for name in names:
        if not _WORD.fullmatch(params.get(name, "")):
            raise _denied(f"the identifier in parameter {name}")


def check_settings(settings: Iterable[str]) -> None:
    """Refuse settings of a request that make a format read or write files, or change who may do what.

    Raises:
        ClickHouseError: 497, naming the setting.
    """
    for name in settings:
        if _SETTING.fullmatch(name.lower()):
            raise _denied(f"the setting {name}")


def check_names(*names: str) -> None:
    """Refuse formats and databases that are no plain names: they are written into statements.

    Raises:
        ClickHouseError: 497, naming it.
    """
    for name in names:
        if not _WORD.fullmatch(name):
            raise _denied(f"the name {name[:40]!r}")


def _check_kind(words: Sequence[str]) -> None:
    first, rest = words[0].upper(), [word.upper() for word in words[1:]]
    if first not in _STATEMENTS:
        raise _denied(first)
    if first in ("CREATE", "REPLACE"):
        kind = next((word for word in rest if word not in ("OR", "REPLACE", "TEMPORARY")), "")
        if kind not in _CREATED:
            raise _denied(f"CREATE {kind}")
        _check_engines(words)
    if first == "SYSTEM" and rest[0] not in _SYSTEM:
        raise _denied(f"SYSTEM {rest[0]}")
    if first == "ALTER" and "FETCH" in rest:
        raise _denied("ALTER … FETCH")


def _check_engines(words: Sequence[str]) -> None:
    for place, word in enumerate(words[:-2]):
        if word == "ENGINE" and words[place + 1] == "" and not _ENGINES.fullmatch(words[place + 2]):
            raise _denied(f"ENGINE = {words[place + 2]}")


def _pieces(printed: str) -> tuple[list[str], list[str], list[str], list[str]]:
    """Words in order ("" for what is between them), names that are called, names in back quotes, names before `=`."""
    words: list[str] = []
    calls: list[str] = []
    names: list[str] = []
    assigned: list[str] = []
    before = ""
    for match in _PIECE.finditer(printed):
        if match.group("space") is not None:
            continue
        word, name = match.group("word"), match.group("name")
        if name is not None:
            names.append(name)
        if match.group() == "(" and before:
            calls.append(before)
        if match.group() == "=" and before:
            assigned.append(before)
        before = word or name or ""
        if word is not None or not words or words[-1] != "":
            words.append(word or "")
    return words or [""], calls, names, assigned


def _denied(what: str) -> Exception:
    reason = f"Not allowed over this local endpoint: {what}. It serves tables only, no files, programs or addresses."
    return refuse(ACCESS_DENIED, "ACCESS_DENIED", reason)
