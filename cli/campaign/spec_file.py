"""A campaign file, read and checked without the API."""

from __future__ import annotations

from pathlib import Path

from adapters.terminal import UserError
from schemas.campaign import CampaignSpec


def read_campaign(file: Path) -> CampaignSpec:
    """The campaign in a TOML file, checked as the API checks it.

    Raises:
        UserError: the file cannot be read or is not a campaign; the text says where and why.
    """
    from api.web.body import parse
    from api.web.refusal import ApiError

    try:
        return parse(file.read_bytes(), toml=True)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except ApiError as error:
        raise UserError(f"{file}: {error}") from error
