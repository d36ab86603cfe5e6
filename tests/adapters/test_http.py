"""Requests to processes of ours: what counts as an answer, and no proxy in between."""

from __future__ import annotations

import http.server
import threading
import urllib.error
from collections.abc import Iterator

import pytest

from adapters import http as ours


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path, and with a body that says method and body of the request."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = f"{self.command} {self.rfile.read(length).decode()}".encode()
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_process_answers_with_anything_below_500(url: str) -> None:
    assert [ours.answers(f"{url}/{status}") for status in (200, 404, 499, 500, 503)] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_no_server_is_no_answer() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/200"
    assert not ours.answers(url)
    assert ours.page(url) == ""


def test_a_page_is_its_text_or_nothing(url: str) -> None:
    assert ours.page(f"{url}/200") == "GET "
    assert ours.page(f"{url}/404") == ""


def test_a_request_carries_its_method_and_body_and_raises_what_is_refused(url: str) -> None:
    with ours.request(f"{url}/201", timeout=5, method="POST", body=b"body") as answer:
        assert (answer.status, answer.read()) == (201, b"POST body")
    with pytest.raises(urllib.error.HTTPError):
        ours.request(f"{url}/409", timeout=5)


def test_a_proxy_of_the_environment_is_not_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert ours.answers(f"{url}/200")


async def test_a_session_reads_an_answer(url: str) -> None:
    async with ours.session(connections=2, timeout=5) as session, session.get(f"{url}/200") as answer:
        assert await answer.text() == "GET "
