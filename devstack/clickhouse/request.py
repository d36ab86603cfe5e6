"""One HTTP request, read: URL parameters told apart, the statement found, the body in memory or on disk."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import BodyPartReader, web

from devstack.clickhouse.compression import decode, known
from devstack.clickhouse.disk import DataDirectory, remove
from devstack.clickhouse.engine import Context, External
from devstack.clickhouse.errors import (
    BAD_REQUEST_PARAMETER,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    SOCKET_TIMEOUT,
    refuse,
)
from devstack.clickhouse.statement import Command, Insert, Statement, parse

# A body up to this many bytes stays in memory; an INSERT's larger one goes to disk.
IN_MEMORY: Final = 4 << 20
_FORM_LIMIT: Final = 64 << 20
SPOOLED: Final = 4 << 30
"""Bytes of an INSERT's body at most."""
BODY_SECONDS: Final = 600.0
"""A body is whole by then,"""
PIECE_SECONDS: Final = 30.0
"""and something of it comes that often."""
# Of the HTTP interface, not of the engine. Sessions are accepted and mean nothing here.
_TRANSPORT: Final = frozenset((
    "query", "query_id", "database", "default_format", "user", "password", "role", "quota_key",
    "session_id", "session_timeout", "session_check", "close_session",
    "wait_end_of_query", "buffer_size", "compress", "decompress", "stacktrace", "client_protocol_version",
))  # fmt: skip


@dataclass(frozen=True)
class Body:
    """An INSERT's rows: in `data`, or in the spool file `path`, compressed as `encoding`."""

    data: bytes = b""
    path: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Incoming:
    """A request, ready to run."""

    context: Context
    statement: Statement
    body: Body
    default_format: str
    wait_end: bool


async def read(request: web.Request, directory: DataDirectory, *, only_reads: bool) -> Incoming:
    """Read the whole request. Raises ClickHouseError; a spool file is removed if reading it failed."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, directory, only_reads=only_reads)
    except TimeoutError as error:
        reason = (
            f"The body was not whole after {BODY_SECONDS:.0f} s, or nothing of it came for {PIECE_SECONDS:.0f} s."
        )
        raise refuse(SOCKET_TIMEOUT, "SOCKET_TIMEOUT", reason) from error


async def _read(request: web.Request, directory: DataDirectory, *, only_reads: bool) -> Incoming:
    url: dict[str, str] = dict(request.query)
    externals: tuple[External, ...] = ()
    if request.content_type == "multipart/form-data":
        externals = await _form(request, url)
        statement, body = parse(url.get("query", "").encode()), Body()
    else:
        statement, body = await _statement(request, url, directory)
    _refuse_framing(url)
    if isinstance(statement, Command) and statement.changes_session and url.get("session_id"):
        reason = (
            "SET, USE and temporary tables do not outlive a request here: pass settings and `database` in the URL"
        )
        raise refuse(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"{reason}.")
    asked = url.get("default_format") or request.headers.get("X-ClickHouse-Format") or ""
    return Incoming(
        _context(url, externals, read_only=only_reads or request.method == "GET", headers=request.headers),
        statement,
        body,
        asked,
        url.get("wait_end_of_query", "0") in ("1", "true"),
    )


def _context(
    url: Mapping[str, str], externals: tuple[External, ...], *, read_only: bool, headers: Mapping[str, str]
) -> Context:
    described = {f"{table.name}_{part}" for table in externals for part in ("format", "structure", "types")}
    settings = {
        name: value
        for name, value in url.items()
        if name not in _TRANSPORT and name not in described and not name.startswith("param_")
    }
    params = {name[6:]: value for name, value in url.items() if name.startswith("param_")}
    database = url.get("database") or headers.get("X-ClickHouse-Database") or "default"
    query_id = url.get("query_id") or str(uuid.uuid4())
    return Context(query_id, database, settings, params, externals, read_only)


def _refuse_framing(url: Mapping[str, str]) -> None:
    for name in ("compress", "decompress"):
        if url.get(name, "0") not in ("0", "false"):
            reason = f"ClickHouse block framing ({name}=1) is not served: use Content-Encoding and Accept-Encoding."
            raise refuse(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", reason)


async def _statement(
    request: web.Request, url: Mapping[str, str], directory: DataDirectory
) -> tuple[Statement, Body]:
    header = request.headers.get("Content-Encoding", "identity")
    encoding = None if header in ("", "identity") else known(header)
    asked = url.get("query", "").encode()
    head, complete = await _head(request)
    in_url = parse(asked) if asked and head else None
    if isinstance(in_url, Insert) and in_url.format is not None:
        rest = asked[in_url.data_at :]
        if complete:
            return in_url, Body(rest + decode(encoding, head))
        return in_url, await _spool(request, directory, rest + head if encoding is None else head, encoding)
    text = (asked + b"\n" if asked else b"") + (decode(encoding, head) if complete else head)
    if not complete and encoding is not None:
        raise _too_large("a compressed body this large needs its INSERT … FORMAT in the `query` parameter")
    statement = parse(text)
    if not isinstance(statement, Insert):
        if not complete:
            raise _too_large(f"a statement may have {IN_MEMORY} bytes")
        return statement, Body()
    data = text[statement.data_at :]
    return statement, Body(data) if complete else await _spool(request, directory, data, None)


def _too_large(reason: str) -> Exception:
    return refuse(QUERY_IS_TOO_LARGE, "QUERY_IS_TOO_LARGE", f"Query is too large: {reason}.")


async def _head(request: web.Request) -> tuple[bytes, bool]:
    """The body's beginning, and whether that is all of it."""
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(request):
        pieces.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            return b"".join(pieces), False
    return b"".join(pieces), True


async def _spool(request: web.Request, directory: DataDirectory, head: bytes, encoding: str | None) -> Body:
    """The whole body in a file, so that a request cut off on its way inserts nothing."""
    file = await asyncio.to_thread(directory.named)
    try:
        with file:
            await asyncio.to_thread(file.write, head)
            async for block in _blocks(request):
                await asyncio.to_thread(file.write, block)
    except BaseException:
        remove(file.name)
        raise
    return Body(path=file.name, encoding=encoding)


async def _blocks(request: web.Request) -> AsyncIterator[bytes]:
    """The rest of the body in blocks of about 1 MiB: a thread hop for each network read would be slow."""
    block = bytearray()
    total = 0
    async for piece in _pieces(request):
        block += piece
        total += len(piece)
        if total > SPOOLED:
            raise _too_large(f"the rows of one INSERT may have {SPOOLED} bytes")
        if len(block) >= 1 << 20:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    while piece := await asyncio.wait_for(request.content.readany(), PIECE_SECONDS):
        yield piece


async def _form(request: web.Request, url: dict[str, str]) -> tuple[External, ...]:
    """Fields of a form join `url`; its files are external tables described by NAME_structure or NAME_types."""
    files: list[tuple[str, bytes]] = []
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise refuse(BAD_REQUEST_PARAMETER, "BAD_ARGUMENTS", "A form part has no name.")
        content = bytearray()
        while piece := await asyncio.wait_for(part.read_chunk(1 << 16), PIECE_SECONDS):
            content += piece
            size += len(piece)
            if size > _FORM_LIMIT:
                raise _too_large(f"a form may have {_FORM_LIMIT} bytes")
        if part.filename is None:
            url[part.name] = content.decode()
        else:
            files.append((part.name, bytes(content)))
    return tuple(
        External(name, _structure(name, url), url.get(f"{name}_format", "TabSeparated"), data) for name, data in files
    )


def _structure(name: str, url: Mapping[str, str]) -> str:
    if f"{name}_structure" in url:
        return url[f"{name}_structure"]
    types = url.get(f"{name}_types")
    if types is None:
        raise refuse(BAD_REQUEST_PARAMETER, "BAD_ARGUMENTS", f"External table {name} has no {name}_structure.")
    return ", ".join(f"_{place} {kind}" for place, kind in enumerate(types.split(","), 1))
