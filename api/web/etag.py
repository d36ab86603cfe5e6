"""ETags: the revision of what was shown, which a change may name, so that of two at once the later is refused."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import JSONResponse

from api.web.refusal import ApiError
from schemas.json import JsonObject


def seen_revision(request: Request) -> int | None:
    """The revision of `If-Match`; None without one, 0 for `If-None-Match: *`.

    Raises:
        ApiError: 422, it is no ETag of ours.
    """
    if request.headers.get("if-none-match", "").strip() == "*":
        return 0
    text = request.headers.get("if-match", "").strip()
    if text in ("", "*"):
        return None
    digits = text.removeprefix("W/").strip('"')
    if not digits.isdecimal() or len(digits) > 18:
        raise ApiError(422, f"If-Match: {text[:60]!r} is no ETag of this API")
    return int(digits)


def tagged(
    body: JsonObject, revision: int, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An answer with its ETag."""
    return JSONResponse(body, status, {"ETag": f'"{revision}"', **(headers or {})})
