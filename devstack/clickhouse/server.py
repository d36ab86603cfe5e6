"""The HTTP server: aiohttp in front of bounded threads, one pool for queries and one for INSERTs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from devstack.clickhouse import request as requests
from devstack.clickhouse.access import Users, no_pages
from devstack.clickhouse.answer import Answer
from devstack.clickhouse.disk import DataDirectory
from devstack.clickhouse.engine import Context, Engine, Summary
from devstack.clickhouse.errors import ClickHouseError
from devstack.clickhouse.pipe import ResultPipe
from devstack.clickhouse.request import Incoming
from devstack.clickhouse.statement import Command, Insert, Query
from schemas.metrics import ENDPOINT_REQUESTS, ENDPOINT_SECONDS

# A query waits for its reader, so there are more of these threads than work for the processors.
_QUERIES: Final = 24
_INSERTS: Final = 4
_OK: Final = b"Ok.\n"
# Seconds that requests have to end once the server is told to stop; INSERTs already in the engine end anyway.
_STOPPING: Final = 10.0
logger = logging.getLogger(__name__)
T = TypeVar("T")


HEAD_SECONDS: Final = 15.0
"""A connection's first request has its head whole by then."""
FORM_BYTES = 64 * 2**20
"""A multipart request (a query with external data or long parameters) is held in memory up to this."""


class Server:
    """Runs requests on an engine. Readiness and errors never wait for a thread."""

    def __init__(self, engine: Engine, directory: DataDirectory, host: str = "127.0.0.1") -> None:
        self._engine = engine
        self._directory = directory
        self._host = host
        self._users = Users(directory.passwords())
        self._silent: set[asyncio.Protocol] = set()
        self._queries = ThreadPoolExecutor(_QUERIES, "query")
        self._inserts = ThreadPoolExecutor(_INSERTS, "insert")
        self._kills = ThreadPoolExecutor(1, "kill")

    def application(self) -> web.Application:
        """The routes: /ping, /replicas_status, /metrics, and / for statements."""
        app = web.Application(client_max_size=FORM_BYTES, middlewares=[self._heard, no_pages(self._host)])
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_get("/metrics", _metrics)
        app.router.add_route("*", "/", self._handle)
        return app

    def watched(self, protocol: web.RequestHandler) -> asyncio.Protocol:
        """A new connection: closed when the head of its first request is not whole in time."""
        self._silent.add(protocol)
        asyncio.get_running_loop().call_later(HEAD_SECONDS, self._close_silent, protocol)
        return protocol

    def _close_silent(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            protocol.force_close()

    @web.middleware
    async def _heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        return await handler(request)

    def kill_selects(self) -> None:
        """Stop running SELECTs and forget the waiting ones, so that their requests end with an error."""
        self._queries.shutdown(wait=False, cancel_futures=True)
        self._engine.kill_selects()

    def wait(self) -> None:
        """Wait until every thread has ended."""
        for pool in (self._inserts, self._queries, self._kills):
            pool.shutdown(wait=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method in ("GET", "HEAD") and "query" not in request.query:
            return await _ok(request)
        query_id = request.query.get("query_id", "")
        try:
            only_reads = self._users.only_reads(self._users.identify(request))
            incoming = await requests.read(request, self._directory, only_reads=only_reads)
            query_id = incoming.context.query_id
            return await self._run(incoming, self._answer(request, query_id))
        except (ClickHouseError, OSError, ValueError) as failure:
            if isinstance(failure, ConnectionError):
                raise
            answer = self._answer(request, query_id).error(failure)
            logger.info("query %s failed: %s", query_id, failure)
            return answer

    def _answer(self, request: web.Request, query_id: str) -> Answer:
        return Answer(request, query_id, self._engine.timezone, self._engine.version)

    async def _run(self, incoming: Incoming, answer: Answer) -> web.StreamResponse:
        kind = type(incoming.statement).__name__.lower()
        started = perf_counter()
        try:
            answer_sent = await self._run_statement(incoming, answer)
        except BaseException:
            ENDPOINT_REQUESTS.labels(kind, "failed").inc()
            raise
        ENDPOINT_REQUESTS.labels(kind, "done").inc()
        ENDPOINT_SECONDS.labels(kind).observe(perf_counter() - started)
        return answer_sent

    async def _run_statement(self, incoming: Incoming, answer: Answer) -> web.StreamResponse:
        statement, context = incoming.statement, incoming.context
        if isinstance(statement, Query):
            return await self._query(statement, incoming, answer)
        if isinstance(statement, Insert):
            return answer.plain(b"", None, await self._insert(statement, incoming))
        return await self._command(statement, incoming.default_format or "TabSeparated", context, answer)

    async def _query(self, query: Query, incoming: Incoming, answer: Answer) -> web.StreamResponse:
        context = incoming.context
        form = query.format or incoming.default_format or "TabSeparated"
        with ResultPipe() as pipe:
            running = self._in(self._queries, lambda: self._engine.query(context, query, form, pipe))
            try:
                spool = self._directory if incoming.wait_end else None
                return await answer.result(pipe, running, form, answer.encoding(context.settings), spool)
            finally:
                # Reached early when the client has gone: writing into a closed pipe does not stop the engine.
                if not running.done():
                    self._kills.submit(self._engine.kill, context.query_id)

    async def _insert(self, insert: Insert, incoming: Incoming) -> Summary:
        body, form, context = incoming.body, incoming.default_format or "Values", incoming.context
        path, engine = body.path, self._engine
        if path is None and insert.reads_input:
            path = await asyncio.to_thread(self._to_file, body.data)
        if path is None:
            return await self._in(self._inserts, lambda: engine.insert(context, insert, form, body.data))
        named = path
        return await self._in(self._inserts, lambda: engine.insert_file(context, insert, form, named, body.encoding))

    async def _command(self, command: Command, form: str, context: Context, answer: Answer) -> web.Response:
        body, summary = await self._in(self._queries, lambda: self._engine.command(context, command.text, form))
        return answer.plain(body, form if body else None, summary)

    def _to_file(self, data: bytes) -> str:
        with self._directory.named() as file:
            file.write(data)
            return file.name

    @staticmethod
    def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> asyncio.Future[T]:
        running = asyncio.get_running_loop().run_in_executor(pool, work)
        # A request whose client left is never awaited; its error is nobody's.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return running


async def _ok(request: web.Request) -> web.Response:
    return web.Response(body=_OK, headers={"Content-Type": "text/html; charset=UTF-8"})


async def run(server: Server, host: str, port: int, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Raises OSError where the address cannot be bound."""
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        max_line_size=1 << 20,
        max_field_size=1 << 16,
        keepalive_timeout=75.0,
        shutdown_timeout=_STOPPING,
    )
    await runner.setup()
    protocols = runner.server
    assert protocols is not None
    listening: asyncio.Server | None = None
    try:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: server.watched(protocols()), host, port, reuse_address=True)
        await stopping.wait()
        await asyncio.to_thread(server.kill_selects)
    finally:
        if listening is not None:
            listening.close()
        with suppress(asyncio.CancelledError):
            await runner.cleanup()


async def _metrics(request: web.Request) -> web.Response:
    """Prometheus metrics of this process."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
