"""Every failure of clickhouse-connect, urllib3 and the network, as StoreUnavailable or StoreRefused.

What may work later without a change of ours is unavailable; what never will is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver import exceptions as driver
from urllib3.exceptions import HTTPError, LocationValueError

from adapters.errors import StoreError, StoreMisfit, StoreRefused, StoreUnavailable

# ErrorCodes.cpp of ClickHouse. Not among them: wrong statements, types, names, rights.
TRANSIENT: Final = frozenset({
    3,  # UNEXPECTED_END_OF_FILE
    23, 24, 32, 33,  # CANNOT_READ_FROM/WRITE_TO_ISTREAM, ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA
    74, 75, 76, 77,  # CANNOT_READ_FROM/WRITE_TO/OPEN_FILE, CANNOT_CLOSE_FILE (a full or failing disk)
    95, 96,  # CANNOT_READ_FROM/WRITE_TO_SOCKET
    106, 107,  # INCORRECT_FILE_NAME, FILE_DOESNT_EXIST (a part merged away)
    159, 160,  # TIMEOUT_EXCEEDED, TOO_SLOW
    173, 198, 201, 202, 203,  # CANNOT_ALLOCATE_MEMORY, DNS_ERROR, QUOTA_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, …
    209, 210, 218, 236,  # SOCKET_TIMEOUT, NETWORK_ERROR, TABLE_IS_DROPPED (being made again), ABORTED
    241, 242, 243, 252,  # MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE, TOO_MANY_PARTS
    265, 279, 285, 286,  # ALL_REPLICAS_ARE_STALE, ALL_CONNECTION_TRIES_FAILED, TOO_FEW_LIVE_REPLICAS, quorum
    297, 298, 305, 306, 319,  # SHARD_HAS_NO_CONNECTIONS, …, UNKNOWN_STATUS_OF_INSERT
    335, 341, 364, 373, 394, 412,  # BARRIER_TIMEOUT, UNFINISHED, IMPOSSIBLE, SESSION_IS_LOCKED, canceled, NETLINK
    425, 439, 459, 473, 499, 517, 519, 529,  # SYSTEM_ERROR, CANNOT_SCHEDULE_TASK, …, DEADLOCK_AVOIDED, S3, ALTERs
    667, 668, 692, 700, 722, 735, 740, 745,  # NOT_INITIALIZED, INVALID_STATE, TOO_MANY_MUTATIONS, …, OVERLOADED
    999, 1000, 1001, 1002,  # KEEPER_EXCEPTION, POCO_EXCEPTION, STD_EXCEPTION, UNKNOWN_EXCEPTION
})  # fmt: skip
MISFIT: Final = frozenset({
    16, 47, 60, 81,  # NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE
    164, 192, 193, 194, 497, 516,  # READONLY, UNKNOWN_USER, WRONG_PASSWORD, …, ACCESS_DENIED, AUTHENTICATION_FAILED
})  # fmt: skip
_CODE: Final = re.compile(r"\b[Cc]ode: (\d+)")
_STATUS: Final = re.compile(r"HTTP status (4\d\d)")
_PASSING: Final = ("408", "425", "429")
_LONGEST: Final = 600


@contextmanager
def mapped() -> Iterator[None]:
    """Around anything that calls the client.

    Raises:
        StoreUnavailable, StoreRefused: in place of whatever the client or the network raised.
    """
    try:
        yield
    except StoreError:
        raise
    except driver.ClickHouseError as error:
        raise _judged(error) from error
    except LocationValueError as error:
        raise StoreRefused(f"ClickHouse has no valid address: {_text(error)}") from error
    except (HTTPError, OSError, EOFError) as error:
        raise StoreUnavailable(f"ClickHouse does not answer: {_text(error)}") from error
    except pa.ArrowException as error:
        raise StoreUnavailable(f"ClickHouse's answer broke off: {_text(error)}") from error


def _judged(error: driver.ClickHouseError) -> StoreError:
    code = getattr(error, "code", None)
    if code is None:
        match = _CODE.search(str(error))
        code = int(match.group(1)) if match else None
    if code is not None:
        stays = StoreMisfit if code in MISFIT else StoreRefused
        return (StoreUnavailable if code in TRANSIENT else stays)(_text(error))
    # Without a code the engine was not asked, or did not get to answer: a proxy, a broken stream, a dead peer;
    # unless the driver itself found the call wrong.
    status = _STATUS.search(str(error))
    if status is not None and status.group(1) not in _PASSING:
        return StoreRefused(_text(error))
    if isinstance(error, (driver.ProgrammingError, driver.DataError, driver.NotSupportedError)):
        return StoreRefused(_text(error))
    return StoreUnavailable(f"ClickHouse does not answer: {_text(error)}")


def _text(error: BaseException) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
