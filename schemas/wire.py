"""How records are written to and read from Kafka: versioned JSON, decoded strictly.

Encoding is orjson (numpy columns go out without a copy to lists). Decoding is msgspec: one pass that parses,
checks types, ranges, unknown fields and the `kind` and `v` tags; each record's `__post_init__` checks lengths.
Whatever does not decode raises `DecodeError`, and the caller sends it to the dead letters.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
import orjson

Version = Literal[1]
Millis = Annotated[int, msgspec.Meta(ge=0, le=253402300799999)]
"""Milliseconds since the epoch, UTC."""
Number = Annotated[int, msgspec.Meta(ge=1, le=999_999_999_999_999)]
"""E.164 digits as an integer (at most 15 digits, exact in JSON)."""
Ordinal = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFE)]
Count = Annotated[int, msgspec.Meta(ge=0)]
CAMPAIGN_PATTERN: Final = r"^[0-9a-hjkmnp-tv-z]{8}$"
Campaign = Annotated[str, msgspec.Meta(pattern=CAMPAIGN_PATTERN)]

CHUNK_LIMIT = 500
"""Most recipients in a chunk."""


class DecodeError(ValueError):
    """A record that does not match its topic's schema; the text says what is wrong and where."""


class Record(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", kw_only=True):
    """Base of all records in Kafka. `v` is the version of the record's kind."""

    v: Version = 1


def encode(record: Record) -> bytes:
    """Bytes of a record; numpy arrays are allowed as columns."""
    fields = msgspec.structs.asdict(record)
    fields["kind"] = record.__struct_config__.tag
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY, default=_builtin)


def _builtin(value: Any) -> Any:
    """Structs within records; their columns may be numpy arrays too."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    raise TypeError(f"{type(value).__name__} does not travel")


class _Never(Record, tag="", kw_only=True):
    """Makes every topic's kinds a union: msgspec asks for the tag only where there is a choice."""


R = TypeVar("R")


class Codec(Generic[R]):
    """Strict decoder of the record kinds that one topic carries."""

    def __init__(self, kinds: Any) -> None:
        self._decoder: msgspec.json.Decoder[R | _Never] = msgspec.json.Decoder(kinds | _Never)

    def decode(self, value: bytes | None) -> R:
        """The record in `value`.

        Raises:
            DecodeError: no value, not JSON, nested too deep, unknown kind or version, wrong type, range or length.
        """
        if value is None:
            raise DecodeError("the record has no value")
        try:
            record = self._decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(str(error)) from error
        except RecursionError as error:
            raise DecodeError("the record is nested too deep") from error
        if isinstance(record, _Never):
            raise DecodeError("the record has no kind")
        return record


def same_length(n: int, /, **columns: Any) -> None:
    """Check that every column has `n` entries.

    Raises:
        ValueError: naming the column; msgspec turns it into a decode error.
    """
    for name, column in columns.items():
        if len(column) != n:
            raise ValueError(f"column {name} has {len(column)} entries, expected {n}")
