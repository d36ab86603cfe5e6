"""Dead letters: records that could not be processed, with their origin and original bytes."""

from __future__ import annotations

import base64

from schemas.wire import Codec, Count, Millis, Record


class DeadLetter(Record, tag="dead-letter", kw_only=True):
    """Topic `dead-letters`. `value` and `key` are base64 of the original bytes (None where there were none).

    `step` is the step that failed, `resolution` is set in a later record with the same origin: a letter was
    replayed or dropped by an operator.
    """

    topic: str
    partition: Count
    offset: Count
    step: str
    reason: str
    """Of `schemas.reasons`, kind `dead letter`; `error` says what exactly."""
    error: str
    at: Millis
    key: str | None
    value: str | None

    @property
    def origin(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Resolution(Record, tag="resolution", kw_only=True):
    """Topic `dead-letters`: an operator dealt with the letter of `origin` (`TOPIC/PARTITION/OFFSET`)."""

    origin: str
    how: str
    """`replayed` or `dropped`."""
    by: str
    at: Millis


def to_text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode("ascii")


def to_bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


DEAD_LETTERS: Codec[DeadLetter | Resolution] = Codec(DeadLetter | Resolution)
