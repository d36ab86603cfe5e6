"""`longwave sample`: generate contacts and campaigns to try Longwave with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from adapters.terminal import UserError, WrongUse, say

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Generate sample contacts and campaigns."""


@app.command()
def contacts(
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv or .parquet.")],
    count: Annotated[int, typer.Option("--count", min=1, max=100_000_000, help="Number of lines.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same file.")] = 1,
    invalid: Annotated[float, typer.Option("--invalid", min=0, max=1, help="Share that an import rejects.")] = 0.01,
    duplicates: Annotated[float, typer.Option("--duplicates", min=0, max=0.5, help="Share of duplicates.")] = 0.01,
    opted_out: Annotated[float, typer.Option("--opted-out", min=0, max=1, help="Share opted out.")] = 0.02,
) -> None:
    """Write realistic contacts of five countries. The numbers are well-formed and may exist: never send to them."""
    from loadtest.sample.contacts import Recipe, write

    if out.suffix not in (".csv", ".parquet"):
        raise WrongUse(f"--out {out}: the name must end in .csv or .parquet")
    try:
        recipe = Recipe(count, seed, invalid, duplicates, opted_out)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    started = time.monotonic()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(recipe, out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; choose another file with --out") from error
    say(f"{count:,} lines in {out}, {time.monotonic() - started:.1f} s")


@app.command()
def campaigns(out: Annotated[Path, typer.Option("--out", help="Folder to write the TOML files to.")]) -> None:
    """Write the sample campaigns, for `longwave campaign create`."""
    from loadtest.sample.campaigns import texts

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts().items():
            (out / name).write_text(text, encoding="utf-8")
            say(str(out / name))
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from error
