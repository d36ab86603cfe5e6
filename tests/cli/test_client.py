"""What the CLI makes of an API that goes away in the middle of an answer."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.terminal import UserError
from cli.client import Client, Unfinished


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


CUT = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"


def test_a_download_that_breaks_off_leaves_no_file_and_what_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "who.csv"
    file.write_text("of yesterday")
    with _cut() as port, pytest.raises(UserError, match=r"broke off .* was not written\. Repeat the command"):
        Client(f"http://127.0.0.1:{port}").download("/v1/campaigns/4f7k/export", file)
    assert [path.name for path in tmp_path.iterdir()] == ["who.csv"]
    assert file.read_text() == "of yesterday"


def test_an_answer_that_is_passed_on_says_that_it_is_not_the_whole() -> None:
    out = io.BytesIO()
    with _cut() as port, pytest.raises(Unfinished, match="broke off"):
        Client(f"http://127.0.0.1:{port}").pass_on("/v1/campaigns/4f7k/export", out)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with _cut() as port, pytest.raises(UserError, match=r"cannot write .*gone.*: No such file.*--out"):
        Client(f"http://127.0.0.1:{port}").download("/v1/campaigns/4f7k/export", tmp_path / "gone" / "who.csv")


@contextmanager
def _cut() -> Iterator[int]:
    """The port of a server that breaks its answer off."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        thread = threading.Thread(target=_break_off, args=(server,))
        thread.start()
        yield server.getsockname()[1]
    thread.join()


def _break_off(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # nobody came
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(CUT)
        connection.close()
