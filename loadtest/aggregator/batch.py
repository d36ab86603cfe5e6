"""A batch of messages as the protocol of `adapters.aggregators.http_batch` has it, decoded strictly."""

from __future__ import annotations

from typing import Final

import msgspec

BATCH_LIMIT: Final = 1000


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message of a batch, as the protocol of `adapters.aggregators.http_batch` has it."""

    id: str
    to: str
    text: str
    sender: str = msgspec.field(name="from", default="")
    """"" where the batch says it."""


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    messages: list[Message]
    sender: str = msgspec.field(name="from", default="")
    """Of the messages that do not say it themselves."""

    def sender_of(self, message: Message) -> str:
        """What a message comes from."""
        return message.sender or self.sender


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a query: message ids."""

    ids: list[str]


_questions: Final = msgspec.json.Decoder(Question)
_batches: Final = msgspec.json.Decoder(Batch)


def decode_question(body: bytes) -> list[str]:
    """The ids that a query is about; ValueError says what is wrong with it."""
    try:
        ids = _questions.decode(body).ids
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    if not 0 < len(ids) <= BATCH_LIMIT:
        raise ValueError(f"a query is about 1 to {BATCH_LIMIT} ids, this one about {len(ids)}")
    return ids


def decode(body: bytes) -> Batch:
    """The batch in a body; ValueError says what is wrong with it."""
    try:
        batch = _batches.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    if not 0 < len(batch.messages) <= BATCH_LIMIT:
        raise ValueError(f"a batch has 1 to {BATCH_LIMIT} messages, this one {len(batch.messages)}")
    for index, message in enumerate(batch.messages):
        if not (message.to[:1] == "+" and message.to[1:].isdecimal() and message.to.isascii()):
            raise ValueError(f"messages[{index}].to: not an E.164 number")
        if not message.id or len(message.id) > 64:
            raise ValueError(f"messages[{index}].id: 1 to 64 characters")
        if not batch.sender_of(message):
            raise ValueError(f"messages[{index}].from: missing, and the batch has none")
    return batch
