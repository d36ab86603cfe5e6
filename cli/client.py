"""The CLI's client of the REST API: plain HTTP; refusals become errors for the user."""

from __future__ import annotations

import http.client
import os
import ssl
import urllib.error
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import orjson

from adapters.http import CaError, believing, request
from adapters.private_files import FIRST_KEY, read_password
from adapters.terminal import UserError
from schemas.json import JsonObject

if TYPE_CHECKING:
    from adapters.settings import Settings

KEY_VARIABLE = "LONGWAVE_API_KEY"
TIMEOUT = 30.0
"""Seconds; the API itself waits up to 10 for the coordinator."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


_PART: Final = 1 << 20
"""Bytes of a download that are in memory at once."""


class NotFound(UserError):
    """The API says that there is no such thing."""


class Unfinished(UserError):
    """A download ended before its end; the text says how, and whoever catches it what that means."""


class Client:
    """The API at `url`, with a key; without one all but health is refused. `trust`: whom to believe by HTTPS."""

    def __init__(
        self, url: str, timeout: float = TIMEOUT, *, key: str = "", trust: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self._trust = trust
        self._timeout = timeout
        self._key = key

    def get(self, path: str, **query: Any) -> JsonObject:
        """GET; query values that are None are left out.

        Raises:
            UserError: the API cannot be reached or refuses; the text is the API's.
        """
        return self._json("GET", _with_query(path, query))

    def get_or_none(self, path: str) -> JsonObject | None:
        """GET; None where there is nothing (404).

        Raises:
            UserError: as `get`.
        """
        try:
            return self.get(path)
        except NotFound:
            return None

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        *,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> JsonObject:
        """POST, PUT or DELETE (see `get` for queries and errors)."""
        return self._json(method, _with_query(path, query), body, {"Content-Type": kind, **(headers or {})})

    def text(self, path: str, **query: Any) -> str:
        """GET of a short text, for instance a CSV file (see `get`)."""
        with self._open("GET", _with_query(path, query)) as answer:
            try:
                return answer.read().decode()
            except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
                raise UserError(f"the API at {self.url} ended its answer early ({_why(error)}); try again") from error

    def download(self, path: str, to: Path, **query: Any) -> None:
        """Stream an answer into a file, which is written as a whole or not at all.

        Raises:
            UserError: as `get`, or the file cannot be written, or the connection ended early.
        """
        partial = to.with_name(to.name + ".part")
        try:
            with partial.open("wb") as out:
                self.pass_on(path, out, **query)
            partial.replace(to)
        except Unfinished as error:
            raise UserError(f"{error}; {to} was not written. Repeat the command") from error
        except OSError as error:
            raise UserError(
                f"cannot write {to}: {error.strerror or error}; choose another file with --out"
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def pass_on(self, path: str, out: BinaryIO, **query: Any) -> None:
        """Stream an answer into `out`, a part at a time.

        Raises:
            Unfinished: the connection ended early; what `out` has is not the whole.
            UserError: as `get`. OSError: `out` cannot be written.
        """
        with self._open("GET", _with_query(path, query)) as answer:
            while part := self._part(answer):
                out.write(part)

    def _part(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read(_PART)
        except (OSError, http.client.HTTPException) as error:
            raise Unfinished(f"the export broke off ({_why(error)})") from error

    def download_csv(self, path: str, to: Path, **query: Any) -> int:
        """Download a CSV file (see `download`); returns its number of lines without the header."""
        self.download(path, to, **query)
        with to.open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)

    def _json(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> JsonObject:
        with self._open(method, path, body, headers or {}) as answer:
            try:
                document: JsonObject = orjson.loads(answer.read())
            except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
                raise UserError(f"the API at {self.url} ended its answer early ({_why(error)}); try again") from error
        return document

    def _open(
        self, method: str, path: str, body: bytes | None = None, more: Mapping[str, str] = NO_HEADERS
    ) -> http.client.HTTPResponse:
        headers = {"Longwave-By": _user(), **more}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            return request(
                self.url + path,
                timeout=self._timeout,
                method=method,
                body=body,
                headers=headers,
                trust=self._trust,
            )
        except urllib.error.HTTPError as error:
            raise (NotFound if error.code == 404 else UserError)(_refusal(error)) from error
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise UserError(
                    f"the API at {self.url} shows a certificate that is not to be trusted ({_why(error)}). If its "
                    "authority is your own, name that in api.ca (LONGWAVE_API__CA)"
                ) from error
            raise UserError(
                f"cannot reach the API at {self.url} ({_why(error)}); is the stack up? `longwave up`"
            ) from error


def _user() -> str:
    """Who runs this command, for the log; a header holds only ASCII."""
    import getpass

    try:
        return getpass.getuser().encode("ascii", "replace").decode()
    except (OSError, KeyError):
        return "command line"


def our_api(timeout: float = TIMEOUT) -> Client:
    """The API of the effective settings, with the key that holds there."""
    from adapters.settings import load

    return api_of(load(), timeout)


def api_of(settings: Settings, timeout: float = TIMEOUT) -> Client:
    """The API of an installation, with `key_of` it.

    Raises:
        UserError: the file with the key, or with the authorities, cannot be read.
    """
    try:
        trust = believing(settings.api.ca)
    except CaError as error:
        raise UserError(f"api.ca: {error}") from error
    return Client(settings.api.url, timeout, key=key_of(settings), trust=trust)


def key_of(settings: Settings) -> str:
    """The key that the command line uses: `LONGWAVE_API_KEY`, else the first key of the data folder, "" without.

    Raises:
        UserError: the file cannot be read.
    """
    path = settings.data / FIRST_KEY
    try:
        return os.environ.get(KEY_VARIABLE, "").strip() or read_password(path)
    except OSError as error:
        raise UserError(f"cannot read the key in {path}: {error.strerror}; set {KEY_VARIABLE}") from error


def retrying(call: Callable[[], JsonObject], patience: float, sleep: Callable[[float], None]) -> JsonObject:
    """Repeat `call` while the API is away or not ready; after `patience` seconds raise its last error."""
    waited = 0.0
    while True:
        try:
            return call()
        except UserError:
            if waited >= patience:
                raise
        sleep(0.5)
        waited += 0.5


def _with_query(path: str, query: JsonObject) -> str:
    given = {key: value for key, value in query.items() if value not in (None, "", [], ())}
    return f"{path}?{urllib.parse.urlencode(given, doseq=True)}" if given else path


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        body = orjson.loads(error.read())
        return str(body["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"the API answered {error.code} {error.reason} to {error.url}; is something else on its port?"


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
