"""The simulated aggregator's process: takes batches, records them, answers by script, calls back.

POST /v1/messages and /v1/query are the protocol of `adapters.aggregators.http_batch`; GET /v1/stats has live counts,
/healthz and /readyz say whether it works.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from adapters import clock
from adapters.aggregators import signing
from adapters.errors import LongwaveError
from adapters.health.state import Health, alive_answer, ready_answer
from loadtest.aggregator.callbacks import Pump
from loadtest.aggregator.desk import Answer, Desk
from loadtest.aggregator.phone import Phone
from loadtest.aggregator.script import Delay, Script
from schemas.metrics import SIMULATOR_MESSAGES, SIMULATOR_REQUESTS

BODY_LIMIT: Final = 8_000_000
SILENCE_SECONDS: Final = 3600.0
KEEPALIVE_SECONDS: Final = 75.0
_JSON: Final = {"Content-Type": "application/json"}


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """The account that Longwave has with this aggregator: its name in callbacks, its secret, where they go, and the
    authority of the server there."""

    secret: bytes
    name: str = "local"
    ingress: str = "http://127.0.0.1:18081"
    ca: Path | None = None


class Simulator:
    """The handlers and what they share. Made and used in one event loop."""

    def __init__(self, data: Path, script: Script, account: Account) -> None:
        self.desk = Desk(data, script, time.time_ns())
        self._script = script
        self._account = account
        self._latency = random.Random(script.seed)
        self._phone = Phone(account.ingress, account.name, account.secret, account.ca)
        self._pump = Pump(data, script, self._phone.channels)
        self._pumping: asyncio.Task[None] | None = None
        self._health = Health("aggregator")
        self._health.look("callbacks", self._callbacks_problem)

    def start(self) -> None:
        if self._script.calls_back:
            self._pumping = asyncio.create_task(self._pump.run(), name="callbacks")

    async def close(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
            await self._pump.close()
        await self._phone.close()
        self.desk.close()

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages."""
        answer = await self._answer(request, self.desk.take)
        SIMULATOR_REQUESTS.labels(answer.status).inc()
        return answer

    async def query(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/query."""
        return await self._answer(request, self.desk.tell)

    async def _answer(self, request: web.Request, desk: Callable[[int, bytes], Answer]) -> web.StreamResponse:
        at = time.time_ns()
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(self.desk.refuse(413, "too-large", f"a body has at most {BODY_LIMIT} bytes"))
        headers = request.headers
        verdict = signing.check(
            self._account.secret,
            headers.get(signing.TIMESTAMP_HEADER),
            headers.get(signing.SIGNATURE_HEADER),
            body,
            clock.now_ms(),
        )
        if verdict != "ok":
            return _response(self.desk.refuse(401, f"signature-{verdict}", f"the signature is {verdict}"))
        answer = desk(at, body)
        delay = _seconds(self._script.latency, self._latency)
        if delay:
            await asyncio.sleep(delay)
        if answer.manner == "silent":
            await asyncio.sleep(SILENCE_SECONDS)
        if answer.manner == "reset" and request.transport is not None:
            request.transport.abort()
        response = _response(answer)
        # Rounded down: it has not arrived later than that.
        response.headers["Server-Timing"] = f"taken;dur={(time.time_ns() - at) // 10_000 / 100:.2f}"
        return response

    async def alive(self, request: web.Request) -> web.StreamResponse:
        """GET /healthz."""
        return _json(*alive_answer(self._health))

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """GET /readyz."""
        return _json(*ready_answer(self._health))

    def _callbacks_problem(self) -> str:
        if self._script.calls_back and (self._pumping is None or self._pumping.done()):
            return "it sends no receipts and no texts; see its log"
        return ""

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics."""
        for outcome, count in dataclasses.asdict(self.desk.counts).items():
            SIMULATOR_MESSAGES.labels(outcome).set(count)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/stats."""
        counts = dataclasses.asdict(self.desk.counts)
        callbacks = {"held": self._pump.held, "sent": self._pump.sent}
        callbacks |= {"retries": self._phone.retries, "trouble": self._phone.trouble}
        return web.Response(body=orjson.dumps(counts | {"callbacks": callbacks}), headers=_JSON)


async def run(host: str, port: int, data: Path, script: Script, account: Account, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    Raises:
        LongwaveError: the port is taken or the data directory cannot be written.
    """
    try:
        simulator = Simulator(data, script, account)
    except BlockingIOError as error:
        raise LongwaveError(f"another simulated aggregator uses {data}: stop it, or give --data") from error
    except OSError as error:
        raise LongwaveError(f"cannot write to {data}: {error.strerror}") from error
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_post("/v1/messages", simulator.messages)
    app.router.add_post("/v1/query", simulator.query)
    app.router.add_get("/v1/stats", simulator.stats)
    app.router.add_get("/metrics", simulator.metrics)
    app.router.add_get("/healthz", simulator.alive)
    app.router.add_get("/readyz", simulator.ready)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        simulator.start()
        await stop.wait()
    except OSError as error:
        raise LongwaveError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; is it taken? give --port"
        ) from error
    finally:
        await runner.cleanup()
        await simulator.close()


def serve(host: str, port: int, data: Path, script: Script, account: Account) -> None:
    """Serve until SIGTERM or SIGINT; blocking, in a process of its own. Raises as `run` does."""
    uvloop.run(_until_signal(host, port, data, script, account))


async def _until_signal(host: str, port: int, data: Path, script: Script, account: Account) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    await run(host, port, data, script, account, stop)


def _seconds(delay: Delay, draw: random.Random) -> float:
    if not delay.sigma:
        return max(delay.median, delay.least)
    return max(delay.least, delay.median * draw.lognormvariate(0.0, delay.sigma))


def _json(status: int, content: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(content), headers=_JSON)


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=_JSON | answer.headers)
