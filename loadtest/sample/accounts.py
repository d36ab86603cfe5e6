"""The sample account."""

from __future__ import annotations

from importlib.resources import files


def text() -> str:
    """The file of the sample account."""
    return files("loadtest.sample").joinpath("accounts.toml").read_text(encoding="utf-8")
