"""Who asks: the key that a request came with, and what it may do and see."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from adapters.terminal import one_line
from api.web.refusal import ApiError
from pipeline.identity.api_keys import has_scope, is_for
from schemas.keys import ApiKey
from schemas.keys import Scope as KeyScope

HEADER: Final = "longwave-by"
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
LONGEST: Final = 60
"""Characters of a name that are kept."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a key. `who` is what they say of themselves (`Longwave-By`, which the command line sends);
    nothing is allowed because of it."""

    key: ApiKey
    who: str
    address: str
    csrf: str = ""
    """Of the browser's session; "" for a program."""

    def __str__(self) -> str:
        """For the log and a campaign's history: `maria (key ci) from 10.1.2.3`."""
        who = f"{self.who} (key {self.key.name})" if self.who else f"key {self.key.name}"
        return f"{who} from {self.address}" if self.address else who

    def may(self, scope: KeyScope) -> bool:
        return has_scope(self.key, scope)

    def sees(self, account: str) -> bool:
        """Whether the key is for this account; "" is what concerns every account."""
        return is_for(self.key, account)

    def check_account(self, account: str) -> None:
        """
        Raises:
            ApiError: 403, the key is not for this account.
        """
        if not self.sees(account):
            what = f"account {account!r}" if account else "every account"
            own = ", ".join(self.key.accounts)
            raise ApiError(403, f"this key is not for {what}: it is for {own}. Nothing was changed")

    def check_every_account(self, what: str) -> None:
        """For what belongs to no one account.

        Raises:
            ApiError: 403.
        """
        if self.key.accounts:
            own = ", ".join(self.key.accounts)
            raise ApiError(403, f"{what}: only with a key for every account; this one is for {own}")

    def check_numbers(self, what: str) -> None:
        """For answers that consist of phone numbers.

        Raises:
            ApiError: 403.
        """
        if not self.may("numbers"):
            raise ApiError(403, f"{what}: shows phone numbers, which this key may not see (scope numbers)")


_NOBODY: Final = Caller(ApiKey(id="", name="nobody", hash="", scopes=[], accounts=["-"], created=0), "", "")
"""What a task may that answers no request: nothing."""
_caller: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)


def caller() -> Caller:
    """Who sent the request that this task answers."""
    return _caller.get()


def set_caller(who: Caller) -> None:
    """This task answers a request of theirs from now on."""
    _caller.set(who)


def address_of(scope: Scope) -> str:
    """Where a request comes from; behind a proxy of `api.proxies` as that says."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def said(header: str) -> str:
    """A `Longwave-By` header as it is kept."""
    return one_line(header)[:LONGEST].strip()
