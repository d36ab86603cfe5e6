"""Sample campaigns as people write them."""

from __future__ import annotations

from importlib import resources


def texts() -> dict[str, str]:
    """File name → TOML text of every sample campaign."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml"))
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(files, key=lambda file: file.name)}
