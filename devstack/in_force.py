"""The settings that each running process has: it read them when it started, the file may have changed since.

A process leaves them in DATA/in-force/NAME.json, secrets masked; `longwave doctor` holds them against the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from adapters.settings import Settings
from devstack import record

FOLDER = "in-force"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of a running process that is not what the settings say now. `name` is "" for a secret."""

    process: str
    name: str
    running: object
    now: object

    def __str__(self) -> str:
        if not self.name:
            return f"{self.process} runs with another secret"
        return f"{self.process} runs with {self.name} = {self.running}, the settings say {self.now}"


def leave(settings: Settings, name: str) -> None:
    """Note what this process, `name`, runs with. A folder that cannot be written costs only doctor's comparison."""
    file = settings.data.absolute() / FOLDER / f"{name}.json"
    document = {**record.of_this_process(), "settings": masked(settings), "digest": _digest(settings)}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(orjson.dumps(document))


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets masked."""
    document: dict[str, Any] = settings.model_dump(mode="json")
    return document


def flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each setting with its dotted name."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from flat(inner, f"{prefix}{key}.")
        else:
            yield prefix + key, inner


def running(data: Path) -> dict[str, dict[str, Any]]:
    """What the processes on `data` that live now have left, by name."""
    documents = {}
    for file in sorted((data.absolute() / FOLDER).glob("*.json")):
        with contextlib.suppress(OSError, orjson.JSONDecodeError):
            left = orjson.loads(file.read_bytes())
            if record.alive(left) is not None:
                documents[file.stem] = left
    return documents


def differences(settings: Settings) -> list[Difference]:
    """What the processes on the settings' data run with, where that is not what the settings say."""
    now, digest = dict(flat(masked(settings))), _digest(settings)
    differences_found = []
    for name, left in running(settings.data).items():
        then = dict(flat(left["settings"]))
        mine = [
            Difference(name, key, then.get(key, "(not set)"), now.get(key, "(not set)"))
            for key in sorted(then.keys() | now.keys())
            if then.get(key) != now.get(key)
        ]
        if not mine and left["digest"] != digest:
            mine = [Difference(name, "", "", "")]
        differences_found += mine
    return differences_found


def _digest(settings: Settings) -> str:
    """Of the secrets, so that a changed one shows; far too short to guess one from."""
    secrets = [
        (name, value.get_secret_value())
        for name, value in flat(settings.model_dump())
        if isinstance(value, SecretStr)
    ]
    return hashlib.blake2b(repr(sorted(secrets)).encode(), digest_size=4).hexdigest()
