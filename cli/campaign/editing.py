"""Editing a draft as TOML: in an editor or by a file, and only as long as nobody else has changed it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.terminal import UserError, note, say
from cli.campaign.wording import change_lines
from cli.client import Client
from schemas.json import JsonObject

if TYPE_CHECKING:
    from schemas.campaign import DraftSpec


def as_file(shown: JsonObject) -> str:
    """The TOML of a campaign that the API shows, which `campaign apply` applies to no change.

    Raises:
        UserError: this version cannot read its definition.
    """
    from pydantic import ValidationError

    from pipeline.campaign.file import file_of, toml_of
    from schemas.campaign import DraftSpec

    try:
        return toml_of(file_of(shown["id"], DraftSpec.model_validate(shown["spec"])))
    except ValidationError as error:
        raise UserError(
            f"campaign {shown['id']}: its definition cannot be read; replace it as a whole (`longwave campaign edit "
            f"{shown['id']} --file FILE.toml`)"
        ) from error


def edited(shown: JsonObject) -> bytes:
    """What a person makes of a draft's TOML in their editor.

    Raises:
        UserError: it is no draft anymore, or the editor failed.
    """
    import click

    _check_editable(shown)
    before = as_file(shown)
    try:
        after = click.edit(before, extension=".toml")
    except click.ClickException as error:
        raise UserError(f"{error.format_message()}; set VISUAL or EDITOR, or use --file") from error
    return (before if after is None else after).encode()


def replace(api: Client, shown: JsonObject, raw: bytes, file: Path | None) -> JsonObject | None:
    """Replace the definition of the draft that was `shown` by TOML; None: nothing differs. What was typed into an
    editor (`file` is None) is kept in a file if it is refused, or cannot be sent.

    Raises:
        UserError: it is no campaign, is refused, or somebody else has changed the draft.
    """
    try:
        return _replaced(api, shown, raw)
    except UserError as error:
        if file is not None:
            raise UserError(f"{file}: {error}") from error
        kept, again = _kept(shown["id"], raw), f"longwave campaign edit {shown['id']} --file"
        raise UserError(
            f"{error}. What you wrote is in {kept}; correct it there, then `{again} {kept}`. `longwave campaign show "
            f"{shown['id']} --toml` shows what is stored now"
        ) from error


def _replaced(api: Client, shown: JsonObject, raw: bytes) -> JsonObject | None:
    from pipeline.campaign.file import changes, toml_of
    from schemas.campaign import stored

    _check_editable(shown)
    spec = _draft(shown, raw)
    differing = changes(shown["spec"], stored(spec))
    if not differing:
        return None
    for line in change_lines(map(asdict, differing)):
        say(line)
    path, seen = f"/v1/campaigns/{shown['id']}", {"If-Match": f'"{shown["revision"]}"'}
    return api.send("PUT", path, toml_of(spec).encode(), "application/toml", headers=seen)


def _draft(shown: JsonObject, raw: bytes) -> DraftSpec:
    from adapters.clock import now_ms
    from api.web.body import checked_as, document
    from api.web.refusal import ApiError
    from schemas.campaign import DraftFile

    try:
        file = checked_as(DraftFile, document(raw, toml=True), now_ms())
    except ApiError as error:
        raise UserError(str(error)) from error
    if file.id not in (None, shown["id"]):
        raise UserError(f"id: it is that of another campaign ({file.id}), not of {shown['id']}")
    return file.spec()


def _check_editable(shown: JsonObject) -> None:
    if "edit" not in shown["actions"]:
        raise UserError(
            f"campaign {shown['id']} is {shown['status']}; only a draft can be edited. A scheduled one becomes a "
            "draft when it is canceled, any other can be duplicated"
        )


def _kept(campaign: str, raw: bytes) -> str:
    """Write what was typed to a new file that only its author reads: it may hold phone numbers."""
    try:
        handle, name = tempfile.mkstemp(suffix=".toml", prefix=f"longwave-{campaign}-")
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
    except OSError as error:
        note(raw.decode())
        raise UserError(f"what you wrote cannot be kept in a file ({error.strerror}): it is above") from error
    return name
