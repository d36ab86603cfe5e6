"""Answers: headers as ClickHouse sends them, bodies compressed and streamed, errors before and amid a body."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from devstack.clickhouse.compression import Encoder, choose, encoder
from devstack.clickhouse.disk import DataDirectory
from devstack.clickhouse.engine import Summary
from devstack.clickhouse.errors import ClickHouseError, from_exception
from devstack.clickhouse.pipe import ResultPipe

# An answer that ends within this many bytes is held, so its status and length are certain.
_HELD: Final = 1 << 20
_TYPES: Final = (
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("CSV", "text/csv; charset=UTF-8; header=absent"),
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONCompactEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("Pretty", "text/plain; charset=UTF-8"),
    ("Values", "text/plain; charset=UTF-8"),
    ("Vertical", "text/plain; charset=UTF-8"),
)


@dataclass(frozen=True)
class _Source:
    """A result on its way: the pipe it comes from, its compressor, the query that makes it."""

    pipe: ResultPipe
    packer: Encoder
    running: asyncio.Future[Summary]

    async def pieces(self) -> AsyncIterator[bytes]:
        """The packed pieces, without the packer's end; large ones are packed off the event loop."""
        while piece := await self.pipe.read():
            yield (
                await asyncio.to_thread(self.packer.feed, piece) if len(piece) > 1 << 16 else self.packer.feed(piece)
            )


class Answer:
    """The answer to one request."""

    def __init__(self, request: web.Request, query_id: str, timezone: str, version: str) -> None:
        self._request = request
        self._version = version
        self.headers = {
            "X-ClickHouse-Server-Display-Name": "longwave",
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": timezone,
        }

    def plain(self, body: bytes, form: str | None, summary: Summary, encoding: str | None = None) -> web.Response:
        """A complete answer; `form` is the FORMAT of `body`, None where the statement has no result."""
        headers = self.headers | {"X-ClickHouse-Summary": _summary(summary)} | _described(form)
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        return web.Response(body=body, headers=headers)

    def error(self, failure: BaseException) -> web.Response:
        """An error instead of a body."""
        known = from_exception(failure)
        headers = self.headers | {"X-ClickHouse-Exception-Code": str(known.code)}
        headers["Content-Type"] = "text/plain; charset=UTF-8"
        return web.Response(status=known.status, body=self._text(known), headers=headers)

    def encoding(self, settings: dict[str, str]) -> str | None:
        """The Content-Encoding that client and settings agree on."""
        enabled = settings.get("enable_http_compression", "0") in ("1", "true")
        return choose(self._request.headers.get("Accept-Encoding", ""), enabled)

    async def result(
        self,
        pipe: ResultPipe,
        running: asyncio.Future[Summary],
        form: str,
        encoding: str | None,
        spool: DataDirectory | None,
    ) -> web.StreamResponse:
        """Send what the engine writes into `pipe`, in `form`, packed as `encoding`.

        A long result goes out while it is made; with `spool` (wait_end_of_query) it waits on disk until the
        query has ended, so that an error still has its own status.
        """
        source = _Source(pipe, encoder(encoding), running)
        held, ended = await _hold(source)
        if ended:
            return self.plain(held, form, await running, encoding)
        headers = self.headers | _described(form)
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        if spool is not None:
            return await self._waited(source, headers, held, spool)
        return await self._streamed(source, headers, held)

    async def _waited(
        self, source: _Source, headers: dict[str, str], held: bytes, spool: DataDirectory
    ) -> web.StreamResponse:
        with await asyncio.to_thread(spool.nameless) as file:
            await asyncio.to_thread(file.write, held)
            async for piece in source.pieces():
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.write, source.packer.end())
            headers["X-ClickHouse-Summary"] = _summary(await source.running)
            headers["Content-Length"] = str(file.tell())
            response = web.StreamResponse(headers=headers)
            await response.prepare(self._request)
            file.seek(0)
            while piece := await asyncio.to_thread(file.read, _HELD):
                await response.write(piece)
            await response.write_eof()
            return response

    async def _streamed(self, source: _Source, headers: dict[str, str], held: bytes) -> web.StreamResponse:
        tag = secrets.token_hex(8)
        response = web.StreamResponse(headers=headers | {"X-ClickHouse-Exception-Tag": tag})
        await response.prepare(self._request)
        await response.write(held)
        async for piece in source.pieces():
            await response.write(piece)
        try:
            await source.running
        except ClickHouseError as failure:
            await response.write(source.packer.feed(self._amid(failure, tag)))
        await response.write(source.packer.end())
        await response.write_eof()
        return response

    def _text(self, failure: ClickHouseError) -> bytes:
        version = "" if "(version " in failure.text else f" (version {self._version} (chDB))"
        return f"{failure.text}{version}\n".encode()

    def _amid(self, failure: ClickHouseError, tag: str) -> bytes:
        """The block that ClickHouse ends a broken body with; clients look for it by the tag."""
        text = self._text(failure).decode()
        mark = "__exception__"
        return f"\r\n{mark}\r\n{tag}\r\n{text}\r\n{len(text.encode())} {tag}\r\n{mark}\r\n".encode()


async def _hold(source: _Source) -> tuple[bytes, bool]:
    """The (packed) result up to `_HELD` bytes, and whether that is all."""
    held = bytearray()
    async for piece in source.pieces():
        held += piece
        if len(held) > _HELD:
            return bytes(held), False
    return bytes(held + source.packer.end()), True


def _described(form: str | None) -> dict[str, str]:
    if form is None:
        return {"Content-Type": "text/plain; charset=UTF-8"}
    kind = next((kind for start, kind in _TYPES if form.startswith(start)), "application/octet-stream")
    return {"X-ClickHouse-Format": form, "Content-Type": kind}


def _summary(summary: Summary) -> str:
    return json.dumps(
        {
            "read_rows": str(summary.read_rows),
            "read_bytes": str(summary.read_bytes),
            "written_rows": str(summary.written_rows),
            "written_bytes": str(summary.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(summary.result_rows),
            "result_bytes": "0",
            "elapsed_ns": str(int(summary.elapsed * 1e9)),
        }
    )
