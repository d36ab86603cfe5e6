"""What all commands share: where they print, how they fail, which exit code they give.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
import unicodedata
from pathlib import Path
from typing import Any, Literal

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class UserError(Exception):
    """A failure the user can mend. The text says what, where and what to do; printed as `error: …`, exit 1."""


class WrongUse(UserError):
    """The command itself was used wrongly; exit 2."""


def say(text: str = "") -> None:
    """One line of progress or result on standard output, at once even through a pipe."""
    print(_shown(text), flush=True)


def _shown(text: str) -> str:
    # Imported when something is said: `longwave --help` has no use for it.
    from adapters.neutral import for_terminal

    return for_terminal(text)


_notes: Literal["plain", "with times", "log"] = "plain"


def with_times() -> None:
    """From now on each note begins with its time (UTC): this process's standard error is read as a log."""
    _note_as("with times")


def to_log() -> None:
    """From now on notes are lines of this process's log, in its form."""
    _note_as("log")


def _note_as(how: Literal["with times", "log"]) -> None:
    global _notes  # noqa: PLW0603 - of the whole process, as standard error is
    _notes = how


def note(text: str) -> None:
    """One line on standard error, so that standard output stays clean for `--json`."""
    _note(text, logging.INFO)


def fail(error: object) -> None:
    """`error: …` on standard error."""
    _note(f"error: {error}", logging.ERROR)


def _note(text: str, level: int) -> None:
    if _notes == "log":
        logging.getLogger("longwave").log(level, "%s", text)
        return
    if _notes == "with times":
        from adapters.logs import stamp

        text = f"{stamp()} {text}"
    print(_shown(text), file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """A text of a stranger without line ends and other controls, to be shown amid a line."""
    return "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text)


def to_json(value: Any) -> str:
    """Indented JSON of plain values, paths and msgspec/dataclass-like objects that orjson knows."""
    import orjson

    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def write_json(path: Path | None, value: Any) -> None:
    """Write `value` to `path` (`-` = standard output); nothing when `path` is None.

    Raises:
        UserError: the file cannot be written.
    """
    if path is None:
        return
    if str(path) == "-":
        say(to_json(value))
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(value) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another file with --json") from error
