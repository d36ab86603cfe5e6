"""What every import of a file of numbers is told: which file, whose country, where rejected lines go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import WrongUse, say

File = Annotated[Path, typer.Argument(help="CSV (UTF-8, any of , ; tab |) or Parquet, with a header.")]
Region = Annotated[
    str, typer.Option("--region", help="Country (ISO) of numbers written without + and country column.")
]
RejectsTo = Annotated[
    Path | None, typer.Option("--rejects", help="Where rejected lines go (default: FILE.rejects.csv).")
]
Json = Annotated[Path | None, typer.Option("--json", help="Write the summary there (- = output).")]


def country_of(region: str) -> str:
    """The country of `--region`, "" where it was not given.

    Raises:
        WrongUse: it is no country.
    """
    from pipeline.contacts import country_code

    country = country_code(region) if region else ""
    if region and not country:
        raise WrongUse(f"--region {region!r} is no country code: give two letters, for instance US or FR")
    return country


def rejects_of(file: Path, rejects: Path | None) -> Path:
    """Where the rejected lines of `file` go.

    Raises:
        WrongUse: they would overwrite the file itself.
    """
    target = rejects or file.with_name(f"{file.name}.rejects.csv")
    if target.exists() and file.exists() and target.samefile(file):
        raise WrongUse(f"--rejects {target} is the file to import itself: name another one")
    return target


def say_rejected(summary: dict[str, Any]) -> None:
    """How many lines were rejected for which reason, and where they are."""
    for reason, count in summary["rejected"].items():
        say(f"  {count:,} rejected: {reason}")
    if summary["rejects"]:
        say(f"  rejected lines with their reasons: {summary['rejects']}")


def say_speed(summary: dict[str, Any]) -> None:
    """How long it took."""
    say(f"  {summary['seconds']:.1f} s, {summary['lines'] / max(summary['seconds'], 1e-3):,.0f} lines/s")
