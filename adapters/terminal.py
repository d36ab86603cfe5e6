"""What all commands share: where they print, how they fail, which exit code they give.

Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import Any

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


_with_times = False


def with_times() -> None:
    """From now on each note begins with its time (UTC): this process's standard error is a log."""
    global _with_times  # noqa: PLW0603 - of the whole process, as standard error is
    _with_times = True


def note(text: str) -> None:
    """One line on standard error, so that standard output stays clean for `--json`."""
    if _with_times:
        from adapters.logs import stamp

        text = f"{stamp()} {text}"
    print(_shown(text), file=sys.stderr, flush=True)


def fail(error: object) -> None:
    """`error: …` on standard error."""
    note(f"error: {error}")


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
