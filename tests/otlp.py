"""A collector on 127.0.0.1 that takes spans by OTLP over HTTP."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Taken:
    """A span as the collector got it; ids in hex, times in ns."""

    process: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    begin: int
    end: int
    attributes: dict[str, Any]
    links: list[tuple[str, str]]
    error: str


@dataclass
class Collector:
    """Where it is, and what it got. It holds requests while `is_hanging`."""

    url: str = ""
    spans: list[Taken] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    is_hanging: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.bodies.append(body)
        for resource in request.resource_spans:
            process = _values(resource.resource.attributes)["service.instance.id"]
            self.spans += [_taken(process, span) for scope in resource.scope_spans for span in scope.spans]

    def traces(self) -> dict[str, list[Taken]]:
        """Spans by trace, in the order of their beginnings."""
        found: dict[str, list[Taken]] = {}
        for span in sorted(self.spans, key=lambda span: span.begin):
            found.setdefault(span.trace, []).append(span)
        return found


@contextlib.contextmanager
def collecting(*, is_hanging: bool = False) -> Iterator[Collector]:
    """A collector that listens until the end of the block."""
    collector = Collector(is_hanging=is_hanging)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if collector.is_hanging:
                collector.ended.wait()
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(gzip.decompress(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        collector.ended.set()
        server.shutdown()
        server.server_close()


def _taken(process: str, span: Any) -> Taken:
    return Taken(
        process=process,
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        error=span.status.message,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}
