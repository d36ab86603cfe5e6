"""JSON as it is read and written."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""An object whose keys and values nobody has checked: answers of the API, figures, results of commands."""
