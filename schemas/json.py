"""JSON as it is read and written."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
"""A value that somebody else wrote: whoever reads it checks what it is."""
JsonObject = dict[str, Any]
"""An object whose keys and values nobody has checked: answers of the API, figures, results of commands."""
