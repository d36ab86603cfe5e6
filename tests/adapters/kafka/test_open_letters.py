"""How many dead letters wait, by the same rule as `longwave dead-letters list`."""

from __future__ import annotations

from adapters.kafka.dead_letters import OpenLetters
from schemas.deadletter import DeadLetter, Resolution
from schemas.wire import encode


def letter(offset: int, step: str = "writer") -> bytes:
    return encode(
        DeadLetter(
            topic="statuses", partition=0, offset=offset, step=step, reason="unreadable_record", error="no", at=1,
            key=None, value=None,
        )
    )  # fmt: skip


def resolution(offset: int) -> bytes:
    return encode(Resolution(origin=f"statuses/0/{offset}", how="dropped", by="ops", at=2))


def test_letters_count_by_step_until_they_are_dealt_with() -> None:
    letters = OpenLetters()
    for offset in range(3):
        assert letters.take(letter(offset)) == "writer"
    letters.take(letter(9, "receipts"))
    assert (letters.count("writer"), letters.count("receipts"), letters.count("clicks")) == (3, 1, 0)
    assert letters.take(resolution(1)) == "writer"
    assert letters.count("writer") == 2


def test_an_origin_counts_once_and_never_again_once_it_was_dealt_with() -> None:
    letters = OpenLetters()
    letters.take(letter(1))
    assert letters.take(letter(1)) == ""
    letters.take(resolution(1))
    assert letters.take(resolution(1)) == ""
    assert letters.take(letter(1)) == "", "a step that replays its input gives up on the same record again"
    assert letters.count("writer") == 0


def test_garbage_and_what_a_newer_version_wrote_count_as_nothing() -> None:
    letters = OpenLetters()
    assert letters.take(b'{"kind":"letter","v":99}\xff') == ""
    assert letters.take(None) == ""
