"""What the CLI makes of an API that goes away in the middle of an answer."""

from __future__ import annotations

import socket
import threading

import pytest

from adapters.terminal import UserError
from cli.client import Client


@pytest.mark.parametrize("sent", [b"", b'{"id": "4f7k'])
def test_an_answer_that_breaks_off_is_one_line_for_the_user(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, sent))
        thread.start()
        with pytest.raises(UserError, match="ended its answer early"):
            Client(f"http://127.0.0.1:{server.getsockname()[1]}").get("/v1/campaigns")
        thread.join()


def _answer(server: socket.socket, sent: bytes) -> None:
    """The head of an answer, a part of its body, and no more."""
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n" + sent)
    connection.close()
