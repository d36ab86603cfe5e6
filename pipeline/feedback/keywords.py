"""Classifies inbound texts: stop, start, help, or something that an operator should read.

Carriers compare the whole message with a list of words. The US rule (47 CFR 64.1200(a)(10), in force since
2025-04-11) goes further: a sender must honour whatever a reasonable person would understand as a request to stop.
So a text is a stop where a stop word stands alone or with words around it that change nothing ("ok stop please",
"SMS STOP", "Please stop texting me"), in whatever letters it is written; a misspelled one counts where nothing else
is said.

What only looks like an opt-out is `doubtful`, and nothing more goes to its number until an operator has looked: a
question or a longer text with a stop word in it, a threat, a wrong number. A wrong stop costs one text and is undone
with START; a hold costs an operator a look; a missed stop breaks the law. Words that are said of other things too
(END, CANCEL, REMOVE) are `weak`: a longer text with one of them is doubtful only if it speaks of messages. START,
YES and HELP must stand alone, since "yes but not today" is no consent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from pipeline.feedback.keyword_words import (
    JOINED,
    KEYWORDS,
    LONGEST_PHRASE,
    NAMES,
    PHRASES,
    PLAYFUL,
    SIGNATURES,
    TAPBACKS,
    Kind,
    one_letter_off,
    plain,
    sentences_of,
    spellings_of,
    words_of,
)

__all__ = ["KEYWORDS", "Intent", "Reading", "classify"]

Intent = Literal["stop", "start", "help", "doubtful", "other"]
"""`doubtful` only looks like an opt-out: the number is held until an operator has decided."""

_READ_AT_MOST: Final = 10_000  # characters
_SHORT: Final = 12  # words: misspellings are looked for in no longer text


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text was classified, and why: the word (as in the list) and the rule; "" for `other`."""

    intent: Intent
    word: str = ""
    rule: str = ""


class _Piece(NamedTuple):
    """A phrase of the lists, or a word that is in none (no kinds); `name` as the list has it."""

    kinds: frozenset[Kind]
    name: str
    misspelled: bool = False


_OTHER: Final = Reading("other")
_STRICTNESS: Final[dict[Intent, int]] = {"stop": 2, "doubtful": 1, "start": 0, "help": 0, "other": 0}
_RULES_WITH_STOPS: Final[frozenset[Kind]] = frozenset({"strong", "weak"})


def classify(text: str) -> Reading:
    """What the sender of `text` asks for; case, spaces, punctuation, accents and look-alike letters do not matter.

    A text with hyphens or asterisks may be meant in several ways: the strictest reading counts, else the first.
    """
    strictest = _OTHER
    for place, said in enumerate(spellings_of(_without_quotation(text[:_READ_AT_MOST]))):
        reading = _classify(said, text)
        if place == 0 or _STRICTNESS[reading.intent] > _STRICTNESS[strictest.intent]:
            strictest = reading
        if reading.intent == "stop" or reading.rule == "alone":
            break  # a keyword that is the whole text is meant, whatever decorates it
    return strictest


def _classify(said: str, text: str) -> Reading:
    reading = _read(said, text)
    if reading.intent == "stop" or (shorter := _SIGNATURE.sub(" ", said)) == said:
        return reading
    unsigned = _read(shorter, text)
    return unsigned if unsigned.intent == "stop" else reading


def _read(said: str, text: str) -> Reading:
    sentences = [list(_pieces(words)) for words in sentences_of(said)]
    pieces = [piece for sentence in sentences for piece in sentence]
    playful = any(symbol in text for symbol in PLAYFUL)
    asks = "?" in said or "؟" in said
    alone = _alone(words_of(said))
    if alone is not None and not (playful and alone.intent == "stop"):
        return alone
    if stop := _stop(pieces, asks):
        return Reading("doubtful", stop.word, "beside laughter") if playful else stop
    if consent := _start_or_help(pieces):
        return consent
    doubtful = _doubt(pieces) or _weak_sentence(sentences) or (None if asks else _refusal(sentences))
    if doubtful is None:
        return _OTHER
    if not (asks or playful) and (stop := _sentence(sentences)):
        return stop
    return doubtful


def _without_quotation(text: str) -> str:
    """A reaction of a phone to a text of ours without the quotation, which is ours and says how to stop."""
    match = _TAPBACK.match(text)
    return match[1] if match else text


_TAPBACK: Final = re.compile(
    rf"^([\W_]*)(?:{'|'.join(map(re.escape, TAPBACKS))})\s+(?:\w+\s+){{0,3}}[“\"«„].*[”\"»“]\W*$",
    re.DOTALL | re.IGNORECASE,
)
_SIGNATURE: Final = re.compile(rf"[\n.!?]\s*(?:{'|'.join(re.escape(plain(start)) for start in SIGNATURES)})\b[^\n]*")


def _alone(words: Sequence[str]) -> Reading | None:
    """The whole text is one keyword, however it is spaced ("S.T.O.P", "opt out")."""
    whole = JOINED.get("".join(words))
    if whole is None and 0 < len(words) < 3:
        typo = one_letter_off("".join(words)) if len(words) == 1 or sum(map(len, words)) > 5 else None
        if typo is not None:
            return Reading("stop", NAMES[(typo,)], "misspelled")
    kinds = PHRASES.get(whole, set()) if whole is not None else set()
    if whole is not None and kinds & _RULES_WITH_STOPS:
        return Reading("stop", NAMES[whole], "alone")
    for family in ("start", "help"):
        if whole is not None and family in kinds:
            return Reading(family, NAMES[whole], "alone")
    return None


def _pieces(words: Sequence[str]) -> Iterator[_Piece]:
    """The words of a sentence as phrases of the lists, the longest from the left."""
    short = len(words) <= _SHORT
    at = 0
    while at < len(words):
        size, phrase = _longest(words, at)
        if phrase is not None:
            yield _Piece(frozenset(PHRASES[phrase]), NAMES[phrase])
        elif short and (typo := one_letter_off(words[at])) is not None:
            yield _Piece(frozenset(PHRASES[(typo,)]), NAMES[(typo,)], misspelled=True)
        else:
            yield _Piece(_FILLER if words[at].isdecimal() or len(words[at]) == 1 else frozenset(), words[at])
        at += size


_FILLER: Final[frozenset[Kind]] = frozenset({"filler"})
"""What numbers and single letters are."""


def _longest(words: Sequence[str], at: int) -> tuple[int, tuple[str, ...] | None]:
    for size in range(min(LONGEST_PHRASE, len(words) - at), 0, -1):
        phrase = tuple(words[at : at + size])
        if phrase in PHRASES:
            return size, phrase
        if size == 2 and (split := JOINED.get("".join(phrase))) is not None and len(split) == 1:
            return size, split  # "un subscribe"
    return 1, None


def _stop(pieces: Sequence[_Piece], asks: bool) -> Reading | None:
    """A stop word with nothing but words around it that change nothing. A question must have no more than courtesy:
    whoever asks how to stop has to be answered."""
    stops = [piece for piece in pieces if piece.kinds & _RULES_WITH_STOPS]
    if not stops:
        return None
    around: set[Kind] = {"courtesy"}
    if not asks and any("strong" in piece.kinds for piece in stops):
        around |= {"filler", "narrow", "doubt"}
    elif not asks:
        around |= {"narrow"}
    if all(piece.kinds & _RULES_WITH_STOPS or piece.kinds & around for piece in pieces):
        first = next((piece for piece in stops if "strong" in piece.kinds), stops[0])
        rule = "misspelled" if first.misspelled else "with words that change nothing"
        return Reading("stop", first.name, rule)
    return None


def _start_or_help(pieces: Sequence[_Piece]) -> Reading | None:
    """START, YES or HELP with nothing but courtesy."""
    asked = [piece for piece in pieces if piece.kinds & {"start", "help"}]
    if not asked or any(not piece.kinds & {"start", "help", "courtesy"} for piece in pieces):
        return None
    families = {family for piece in asked for family in ("start", "help") if family in piece.kinds}
    if len(families) != 1:
        return None
    return Reading("start" if "start" in families else "help", asked[0].name, "with courtesy")


def _doubt(pieces: Sequence[_Piece]) -> Reading | None:
    """What makes a text doubtful, None if nothing does."""
    about = any("about" in piece.kinds for piece in pieces)
    for piece in pieces:
        if "harmless" in piece.kinds:
            continue
        if "denial" in piece.kinds and about:
            return Reading("doubtful", piece.name, "a denial that speaks of messages")
        if "strong" in piece.kinds and (not piece.misspelled or about):
            return Reading("doubtful", piece.name, "in a longer text")
        if "doubt" in piece.kinds:
            return Reading("doubtful", piece.name, "looks like an opt-out")
    return _weak_doubt(pieces, about)


def _weak_doubt(pieces: Sequence[_Piece], about: bool) -> Reading | None:
    weak = next((piece for piece in pieces if "weak" in piece.kinds), None)
    if weak is None or (weak.misspelled and not about):
        return None
    if about or all(piece.kinds & {"weak", "courtesy", "filler", "narrow"} for piece in pieces):
        return Reading("doubtful", weak.name, "beside words about messages")
    return None


def _weak_sentence(sentences: Sequence[Sequence[_Piece]]) -> Reading | None:
    """A sentence of its own that would be a stop if nothing else were said ("Who are you? Enough")."""
    for sentence in sentences:
        if stop := _stop(sentence, asks=False):
            return Reading("doubtful", stop.word, "a sentence of its own")
    return None


def _refusal(sentences: Sequence[Sequence[_Piece]]) -> Reading | None:
    """A short sentence that refuses something and speaks of messages ("I hate these texts")."""
    for sentence in sentences:
        refusal = next((piece for piece in sentence if "refusal" in piece.kinds), None)
        if refusal and len(sentence) <= _SHORT and any("mail" in piece.kinds for piece in sentence):
            return Reading("doubtful", refusal.name, "a refusal that speaks of messages")
    return None


def _sentence(sentences: Sequence[Sequence[_Piece]]) -> Reading | None:
    """The first or the last sentence is a stop by itself, and another one speaks of messages or looks like an
    opt-out ("Stop! Wrong number")."""
    for place in (0, -1):
        stop = _stop(sentences[place], asks=False)
        others = [piece for sentence in sentences if sentence is not sentences[place] for piece in sentence]
        strong = any("strong" in piece.kinds and not piece.misspelled for piece in sentences[place])
        if stop and strong and any(piece.kinds & {"about", "doubt"} for piece in others):
            return Reading("stop", stop.word, "a sentence of its own")
    return None
