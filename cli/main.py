"""The `longwave` command. Its groups are imported only when they are used, so that `--help` is fast."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command as typer_command

from adapters.logs import silence
from adapters.terminal import DONE, FAILED, INTERRUPTED, WRONG_USE, UserError, WrongUse, fail


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where it is (`module:attribute`, a Typer or a function) and its line in the list of commands."""

    where: str
    help: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("cli.demo.command:demo", "A sample campaign on the local stack, watched live."),
    "up": Entry("cli.stack.commands:up", "Start the local stack."),
    "down": Entry("cli.stack.commands:down", "Stop the local stack; its data stays."),
    "status": Entry("cli.stack.commands:status", "Show what runs, since when, and how often it was restarted."),
    "doctor": Entry("cli.stack.commands:doctor", "Check this installation and say how to fix what is wrong."),
    "contacts": Entry("cli.contacts.commands:app", "Import contacts; show, export or erase one contact."),
    "optouts": Entry("cli.optouts.commands:app", "Opt-outs: import, add, remove, review, export, show."),
    "sample": Entry("cli.sample:app", "Generate sample contacts."),
    "campaign": Entry("cli.campaign.commands:app", "Create, review, launch, control and export campaigns."),
    "accounts": Entry("cli.accounts.commands:app", "Accounts: list, show, apply a file, set, remove."),
    "senders": Entry("cli.accounts.senders:app", "Senders of an account: list, show, set, remove."),
    "domains": Entry("cli.accounts.domains:app", "Domains of an account's links: list, add, set, remove."),
    "prices": Entry("cli.accounts.prices:app", "Price lists: show, apply a file."),
    "balance": Entry("cli.balance:app", "Money of an account: show, top up, statement, invoice."),
    "keys": Entry("cli.keys:app", "Keys of the API: list, create, rotate, revoke; who did what."),
    "forecast": Entry("cli.forecast.command:forecast", "Forecast whether and when a campaign can be sent."),
    "simulate": Entry("cli.simulate.command:simulate", "Simulate a campaign on a virtual clock."),
    "explain": Entry("cli.campaign.explain:explain", "Show all events of one recipient of a campaign."),
    "dead-letters": Entry("cli.dead_letters:app", "Records that could not be processed: list, replay, drop."),
    "bench": Entry("cli.bench:app", "Measure Longwave beside the bare limit of this machine."),
    "rehearse": Entry("cli.rehearse:rehearse", "Play an incident: the right alert fires, its runbook mends it."),
    "aggregator": Entry("cli.aggregator:aggregator", "Run the simulated aggregator alone."),
    "run": Entry("cli.run:app", "Run one process in the foreground (worker, writer, api, …)."),
}


class _Lazy(TyperGroup):
    """A group whose commands are looked up in COMMANDS. A command whose module is not installed is not listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, entry in COMMANDS.items() if importlib.util.find_spec(entry.where.partition(":")[0])]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, _, attribute = COMMANDS[cmd_name].where.partition(":")
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            group = typer.Typer(rich_markup_mode=None, add_completion=False)
            group.command(cmd_name)(target)
            target = group
        command = typer_command(target)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])


app = typer.Typer(cls=_Lazy, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"longwave {version('longwave')}")
        raise typer.Exit(DONE)


@app.callback()
def _root(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file [$LONGWAVE_CONFIG, else longwave.toml].")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """SMS campaigns at scale. Settings come from longwave.toml and LONGWAVE_* variables (`longwave doctor`)."""
    if config is not None:
        os.environ["LONGWAVE_CONFIG"] = str(config)


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Ends the process with 0 (done), 1 (failed), 2 (wrong use) or 130 (interrupted)."""
    silence()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. A user's mistake is one message, never a traceback."""
    try:
        typer_command(app)(arguments, prog_name="longwave")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except WrongUse as error:
        fail(error)
        return WRONG_USE
    except UserError as error:
        fail(error)
        return FAILED
    except Exception as error:
        if not _is_ours(error):
            raise
        fail(error)
        return FAILED
    return DONE


def _is_ours(error: Exception) -> bool:
    # Imported here: settings need pydantic, which would slow down `longwave --help`.
    from adapters.errors import LongwaveError
    from adapters.settings import SettingsError

    return isinstance(error, LongwaveError | SettingsError)


if __name__ == "__main__":
    main()
