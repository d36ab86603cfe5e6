"""Content-Encoding both ways: lz4 (frame), zstd, br, gzip, deflate."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from typing import Any, Final, Protocol

import cramjam

from devstack.clickhouse.errors import CANNOT_DECOMPRESS, UNKNOWN_COMPRESSION_METHOD, refuse

# cramjam's `deflate` is the bare stream; HTTP's (and ClickHouse's) is the zlib one.
_DECODE: Final[dict[str, Callable[[bytes], Any]]] = {
    "gzip": cramjam.gzip.decompress,
    "x-gzip": cramjam.gzip.decompress,
    "deflate": cramjam.zlib.decompress,
    "br": cramjam.brotli.decompress,
    "zstd": cramjam.zstd.decompress,
    "lz4": cramjam.lz4.decompress,
    "xz": lzma.decompress,
    "bz2": bz2.decompress,
}
_ENCODERS: Final[dict[str, Callable[[], Any]]] = {
    "zstd": lambda: cramjam.zstd.Compressor(level=1),
    "lz4": cramjam.lz4.Compressor,
    "br": lambda: cramjam.brotli.Compressor(level=2),
    "gzip": lambda: cramjam.gzip.Compressor(level=3),
    "deflate": lambda: cramjam.zlib.Compressor(level=3),
}


class Encoder(Protocol):
    """A streaming compressor; `feed` may return nothing yet."""

    def feed(self, data: bytes) -> bytes:
        """Take `data`; return what is ready."""
        ...

    def end(self) -> bytes:
        """Return the rest; nothing may be fed afterwards."""
        ...


class Plain:
    """No compression."""

    def feed(self, data: bytes) -> bytes:
        """Return `data`."""
        return data

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class Compressed:
    """One of cramjam's streaming compressors."""

    def __init__(self, encoding: str) -> None:
        self._compressor = _ENCODERS[encoding]()

    def feed(self, data: bytes) -> bytes:
        """Take `data`; return what is ready."""
        self._compressor.compress(data)
        return bytes(self._compressor.flush())

    def end(self) -> bytes:
        """Return the rest of the frame."""
        return bytes(self._compressor.finish())


def encoder(encoding: str | None) -> Encoder:
    """The encoder for a Content-Encoding (None: plain)."""
    return Plain() if encoding is None else Compressed(encoding)


def choose(accept: str, enabled: bool) -> str | None:
    """The answer's Content-Encoding: ClickHouse compresses only where `enable_http_compression` is on."""
    offered = {part.split(";")[0].strip().lower() for part in accept.split(",")}
    return next((name for name in _ENCODERS if name in offered), None) if enabled else None


def known(encoding: str) -> str:
    """The name under which the engine knows a request's Content-Encoding; refuses others."""
    name = encoding.strip().lower()
    if name not in _DECODE:
        raise refuse(UNKNOWN_COMPRESSION_METHOD, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method {name}.")
    return "gzip" if name == "x-gzip" else name


def decode(encoding: str | None, body: bytes) -> bytes:
    """A whole body, decompressed."""
    if encoding is None or not body:
        return body
    try:
        return bytes(_DECODE[encoding](body))
    except Exception as error:  # each codec raises its own kind
        reason = f"Cannot decompress the {encoding} request body: {error}."
        raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", reason) from error
