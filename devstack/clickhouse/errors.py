"""ClickHouse errors as its HTTP interface shows them: code header, HTTP status, one-line text."""

from __future__ import annotations

import errno
import re
from typing import Final

NOT_IMPLEMENTED: Final = 48
SYNTAX_ERROR: Final = 62
CANNOT_DECOMPRESS: Final = 271
UNKNOWN_COMPRESSION_METHOD: Final = 89
UNKNOWN_SETTING: Final = 115
QUERY_IS_TOO_LARGE: Final = 223
NOT_ENOUGH_SPACE: Final = 243
BAD_REQUEST_PARAMETER: Final = 36
AUTHENTICATION_FAILED: Final = 516
SOCKET_TIMEOUT: Final = 209
UNKNOWN_EXCEPTION: Final = 1002

# After exceptionCodeToHTTPStatus.cpp of ClickHouse; every other code answers 500.
_STATUS: Final[dict[int, int]] = {
    **dict.fromkeys((6, 25, 26, 27, 33, 36, 38, 41, 53, 62, 72, 117, 130, 167, 168, 207, 226), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 99, 115, 336), 404),
    QUERY_IS_TOO_LARGE: 413,
    NOT_IMPLEMENTED: 501,
    159: 408,
    SOCKET_TIMEOUT: 408,
    AUTHENTICATION_FAILED: 403,
    497: 403,
    NOT_ENOUGH_SPACE: 507,
}
_CODE: Final = re.compile(r"Code: (\d+)\. ")


class ClickHouseError(Exception):
    """An error with ClickHouse's numeric code; `text` is the whole line, without the version."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status ClickHouse answers for this code."""
        return _STATUS.get(self.code, 500)


def refuse(code: int, name: str, reason: str) -> ClickHouseError:
    """An error raised by the endpoint itself, in the engine's own wording."""
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {reason} ({name})")


def from_exception(error: BaseException) -> ClickHouseError:
    """Whatever chDB or the operating system raised, as a ClickHouse error.

    chDB puts its own words before ``Code: N.`` on the insert path; they are cut off.
    """
    if isinstance(error, ClickHouseError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return refuse(NOT_ENOUGH_SPACE, "NOT_ENOUGH_SPACE", f"No space left for the request body: {error}.")
    text = str(error).strip()
    match = _CODE.search(text)
    if match is None:
        return refuse(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", f"{text or type(error).__name__}.")
    return ClickHouseError(int(match.group(1)), text[match.start() :])
