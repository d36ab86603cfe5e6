"""Options that all imports share, and the text of an import's summary."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.terminal import WrongUse, say
from schemas.json import JsonObject

if TYPE_CHECKING:
    from pipeline.audience.columns import Choices
    from pipeline.numbers.judging import Choice

File = Annotated[Path, typer.Argument(help="CSV (any encoding; , ; tab or |) or Parquet, with a header.")]
Region = Annotated[
    str, typer.Option("--region", help="Country (ISO) of numbers written without + and country column.")
]
RejectsTo = Annotated[Path | None, typer.Option("--rejects", help="File for the rejected lines [FILE.rejects.csv].")]
Encoding = Annotated[
    str,
    typer.Option("--encoding", help="Encoding of the file, for instance cp1252 or utf-16 [detected]."),
]
Delimiter = Annotated[str, typer.Option("--delimiter", help="Character between cells, or tab [detected].")]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line is a contact; columns are named by position, from 1.")
]
Numbers = Annotated[
    str,
    typer.Option("--numbers", help="How to read digits without +: national or international (default: judged from "
                 "the whole file)."),
]  # fmt: skip
Column = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=NAME", help="Role of a column: phone, country, region, zone, consent (yes "
                 "allows), opted_out (yes forbids) or attribute. May be repeated."),
]  # fmt: skip
IgnoreColumn = Annotated[
    list[str] | None, typer.Option("--ignore-column", metavar="NAME", help="A column to ignore. May be repeated.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show how the file is read and what an import would do; write nothing.")
]
Account = Annotated[str, typer.Option("--account", help="Account of these opt-outs [every account].")]
Json = Annotated[
    Path | None, typer.Option("--json", help="Write the summary as JSON to this file (- = standard output).")
]


def country_of(region: str) -> str:
    """The country of `--region`, "" where it was not given.

    Raises:
        WrongUse: it is not a country.
    """
    from pipeline.audience.column_words import country_named

    country = country_named(region) if region else ""
    if region and not country:
        raise WrongUse(f"--region {region!r} is not a country code: use two letters, for instance US or FR")
    return country


def choices_of(columns: list[str] | None, ignored: list[str] | None) -> Choices:
    """The operator's choices of columns, as `pipeline.audience.columns.Choices`.

    Raises:
        WrongUse: an unknown role.
    """
    from pipeline.audience.columns import CHOICES, Choices

    roles = []
    for text in columns or ():
        role, equals, name = text.partition("=")
        if not equals or not name.strip() or role not in CHOICES:
            raise WrongUse(f"--column {text!r}: write ROLE=NAME with one of the roles {', '.join(CHOICES)}")
        roles.append((role, name))
    return Choices(tuple(roles), tuple(ignored or ()))


def numbers_of(text: str) -> Choice:
    """The choice of `--numbers`; "" if the file is to be judged.

    Raises:
        WrongUse: it is none.
    """
    match text:
        case "" | "national" | "international":
            return text
    raise WrongUse(f"--numbers {text!r}: choose national or international")


def delimiter_of(text: str) -> str:
    """The character of `--delimiter`.

    Raises:
        WrongUse: it is none.
    """
    delimiter = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}.get(text.lower(), text)
    if delimiter and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise WrongUse(f"--delimiter {text!r}: use one character, or tab")
    return delimiter


def account_of(account: str, accounts: Collection[str]) -> str:
    """The account of `--account`; "" for every account.

    Raises:
        WrongUse: there is no such account.
    """
    if account and account not in accounts:
        known = ", ".join(sorted(accounts)) or "none"
        raise WrongUse(f"--account: there is no account {account!r}; there is {known}")
    return account


def rejects_of(file: Path, rejects: Path | None) -> Path:
    """Where the rejected lines of `file` go.

    Raises:
        WrongUse: they would overwrite the file itself.
    """
    target = rejects or file.with_name(f"{file.name}.rejects.csv")
    if target.exists() and file.exists() and target.samefile(file):
        raise WrongUse(f"--rejects {target} is the file to import; choose another file")
    return target


def say_summary(summary: JsonObject, outcome: list[str]) -> None:
    """Print the summary of an import or a dry run; `outcome` says what happened to the numbers."""
    is_dry = summary.get("dry_run", False)
    if is_dry:
        say(f"{summary['file']}: {summary['read_as']}, {summary['lines']:,} lines. Nothing was written.")
        _say_columns(summary["columns"])
    for sentence in summary["notes"]:
        say(f"  note: {sentence}")
    _say_judgement(summary["numbers"])
    for sentence in outcome:
        say(sentence)
    _say_rejected(summary)
    if is_dry:
        for reason, examples in summary["rejected_examples"].items():
            say(f"    {reason}: {'  ·  '.join(examples)}")
    else:
        say(f"  {summary['seconds']:.1f} s, {summary['lines'] / max(summary['seconds'], 1e-3):,.0f} lines/s")


def _say_rejected(summary: JsonObject) -> None:
    """Print how many lines were rejected for each reason, and where they are."""
    from pipeline.audience.rejections import explained

    for reason, count in summary["rejected"].items():
        say(f"  {count:,} rejected: {explained(reason)}")
    if summary["rejects"]:
        say(f"  the rejected lines with their reasons are in {summary['rejects']}: correct them and import that file")


def _say_judgement(verdict: JsonObject) -> None:
    """Print how digits without + were read, and why."""
    if verdict["why"]:
        say(f"  {verdict['why']}.")
        for sample in verdict["samples"]:
            readings = (sample["national"] or "none", sample["international"] or "none")
            say(f"    {sample['written']}: as national {readings[0]}, as international {readings[1]}")


def _say_columns(columns: list[JsonObject]) -> None:
    """Print the role of each column, with samples."""
    width = max((len(column["column"]) for column in columns), default=0)
    for column in columns:
        samples = "  ·  ".join(map(_short, column["samples"]))
        say(f"  {column['column'][:40]:{min(width, 40)}}  {column['taken_for']:24}  {samples}")


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"
