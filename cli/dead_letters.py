"""`longwave dead-letters list | replay | drop`: records that could not be processed."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from adapters import settings as configuration
from adapters.kafka import dead_letters
from adapters.kafka.producer import Producer
from adapters.ports import Emitter
from adapters.settings import Settings
from adapters.terminal import UserError, note, say, to_json
from schemas.deadletter import DeadLetter, to_bytes
from schemas.reasons import in_words
from schemas.times import iso

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)

Origins = Annotated[list[str], typer.Argument(metavar="ORIGIN…", help="TOPIC/PARTITION/OFFSET as `list` shows it.")]
Deal = Callable[[Emitter, DeadLetter, str], Awaitable[None]]
SHOWN_BYTES = 160


@app.callback()
def _group() -> None:
    """Records that could not be processed: list, replay, drop."""


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False) -> None:
    """List open dead letters, oldest first, each with its origin, step and error."""
    letters = _read(configuration.load())
    if json:
        say(to_json([_as_json(letter) for letter in letters]))
        return
    for letter in letters:
        say(f"{letter.origin}  {iso(letter.at)}  step {letter.step}: {in_words(letter.reason)}")
        say(f"    {letter.error}\n    {_begin(letter)}")
    say(f"{len(letters)} dead letters" if letters else "no dead letters")


@app.command()
def replay(origins: Origins) -> None:
    """Write the original bytes to their topic and partition again, once the cause is fixed."""
    _deal(origins, dead_letters.replay, "replayed")


@app.command()
def drop(origins: Origins) -> None:
    """Drop dead letters: they are not processed and no longer listed."""
    _deal(origins, dead_letters.drop, "dropped")


def _deal(origins: list[str], how: Deal, done: str) -> None:
    settings = configuration.load()
    waiting = {letter.origin: letter for letter in _read(settings)}
    unknown = [origin for origin in origins if origin not in waiting]
    if unknown:
        raise UserError(
            f"no open dead letter at {', '.join(unknown)}; nothing was done. See `longwave dead-letters list`"
        )
    chosen = [waiting[origin] for origin in dict.fromkeys(origins)]
    asyncio.run(_each(settings, chosen, how, done))


async def _each(settings: Settings, letters: list[DeadLetter], how: Deal, done: str) -> None:
    producer = Producer(settings.kafka)
    try:
        for letter in letters:
            await how(producer, letter, getpass.getuser())
            note(f"{letter.origin} {done}")
    finally:
        await producer.close()


def _read(settings: Settings) -> list[DeadLetter]:
    try:
        return asyncio.run(dead_letters.read(settings.kafka))
    except (KafkaError, OSError) as error:
        raise UserError(
            f"cannot read from Kafka at {settings.kafka.bootstrap} ({error}); is the stack up? `longwave up`"
        ) from error


def _as_json(letter: DeadLetter) -> dict[str, object]:
    return {
        "origin": letter.origin,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "step": letter.step,
        "reason": letter.reason,
        "error": letter.error,
        "at": iso(letter.at),
        "key": letter.key,
        "value": letter.value,
    }


def _begin(letter: DeadLetter) -> str:
    raw = to_bytes(letter.value)
    if raw is None:
        return "(no value)"
    shown = ascii(raw[:SHOWN_BYTES].decode("utf-8", "replace"))
    return f"{shown}{' …' if len(raw) > SHOWN_BYTES else ''} ({len(raw):,} bytes)"
