"""A real fatal error of librdkafka, as it raises them on itself: its own function for tests, which the Python client
does not offer."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError

_OBJECT_HEAD = 16
"""Bytes before the first field of a Python object in C. The first of the client's objects is librdkafka's handle."""


def raise_fatal(producer: Any, reason: str) -> None:
    """Break a `confluent_kafka.Producer` as a lost sequence of records would."""
    [path] = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    call = ctypes.CDLL(str(path)).rd_kafka_test_fatal_error
    call.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    handle = ctypes.c_void_p.from_address(id(producer) + _OBJECT_HEAD).value
    assert call(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, reason.encode()) == 0
