"""Campaign files under version control: what they would change, and applying them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapters.terminal import UserError
from cli.client import Client
from schemas.json import JsonObject


def planned(api: Client, files: Mapping[Path, bytes]) -> dict[Path, JsonObject]:
    """What each file would change; nothing is changed.

    Raises:
        UserError: one cannot be applied, or two of them are about the same campaign.
    """
    answers: dict[Path, JsonObject] = {}
    by_id: dict[str, Path] = {}
    for file, raw in files.items():
        answers[file] = _sent(api, file, raw, dry_run=True)
        other = by_id.setdefault(answers[file]["id"], file)
        if other != file:
            raise UserError(f"{file}: names the same campaign as {other}; nothing was changed")
    return answers


def applied(api: Client, files: Mapping[Path, bytes]) -> dict[Path, JsonObject]:
    """Apply files, one after the other.

    Raises:
        UserError: one was refused, or the API cannot be reached; the files before it are applied, and applying all of
            them again goes on from there.
    """
    return {file: _sent(api, file, raw, dry_run=False) for file, raw in files.items()}


def _sent(api: Client, file: Path, raw: bytes, *, dry_run: bool) -> JsonObject:
    try:
        return api.send("POST", "/v1/campaigns/apply", raw, "application/toml", dry_run=dry_run or None)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
