"""How long the texts of a campaign will be, over all recipients who get one, and which characters make them long or
are replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.content.characters import lasting_characters, replacements_in
from pipeline.content.outgoing import LinkBases, Renderer
from pipeline.content.segments import Encoding, count, foreign_characters

SAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A character outside GSM-7, and how many recipients have it in an attribute."""

    character: str
    attribute: str
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A character (or a letter with its accents), what is sent instead ("": nothing), and in how many texts."""

    character: str
    by: str
    texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEstimate:
    """One message over all who would get it: `example` is a longest text, `encoding` and `units` are its."""

    example: str
    encoding: Encoding
    units: int
    mean_parts: float
    most_parts: int
    recipients: int
    over_one: int
    """Recipients whose text takes more than one segment."""
    histogram: tuple[tuple[int, int], ...]
    """(segments, recipients whose text takes so many), by segments."""
    replaced: tuple[Replaced, ...]
    """What is replaced, the most frequent first."""
    in_text: tuple[str, ...]
    """Characters outside GSM-7 that the author wrote and nothing replaces: every text is in UCS-2."""
    in_values: tuple[Culprit, ...]
    """Those that come from recipients' values, the most frequent first; () where the text has some itself."""
    forced: int
    """Recipients whose values force UCS-2."""
    samples: tuple[str, ...]
    """Some of these values, as `first_name 'Łukasz'`."""


class TextSurvey:
    """Counts one message; fed page by page."""

    def __init__(self, renderer: Renderer, bases: LinkBases) -> None:
        self._renderer = renderer
        self._bases = bases
        self._lasting: Final = lasting_characters if renderer.replaces_characters else foreign_characters
        literals = " ".join(renderer.literals)
        self._in_text = tuple(self._lasting(literals))
        self._is_plain: Final = not foreign_characters(literals)
        self._culprits: Counter[tuple[str, str]] = Counter()
        self._samples: dict[str, None] = {}
        self._forced = 0
        self._parts: Counter[int] = Counter()
        self._replaced: Counter[tuple[str, str]] = Counter()
        self._example = ""

    def add(self, fields: Mapping[str, Sequence[str]], segments: NDArray[np.uint16], goes: NDArray[np.bool_]) -> None:
        """Count a page: its attributes, the segments of each text, and who would get it."""
        places = np.flatnonzero(goes)
        if not len(places):
            return
        mine = segments[places]
        longest = int(mine.argmax())
        if mine[longest] > max(self._parts, default=0):
            self._example = self._text(fields, int(places[longest]))
        self._parts.update({parts: n for parts, n in enumerate(np.bincount(mine).tolist()) if n})
        if self._in_text:
            return  # all are in UCS-2, so nothing is replaced and no value is to blame
        foreign = {
            name: frozenset(foreign_characters("".join(fields.get(name, ())))) for name in self._renderer.fields
        }
        if self._renderer.replaces_characters and (not self._is_plain or any(foreign.values())):
            self._note_replaced(fields, goes)
        self._blame(fields, goes, foreign)

    def estimate(self) -> TextEstimate:
        """The result; without recipients, the text of a recipient without attributes."""
        recipients = self._parts.total()
        example = self._example if recipients else self._text({}, 0)
        counted = count(example)
        culprits = [
            Culprit(character=character, attribute=attribute, recipients=having)
            for (character, attribute), having in self._culprits.most_common()
        ]
        replaced = [
            Replaced(character=character, by=by, texts=texts)
            for (character, by), texts in self._replaced.most_common()
        ]
        segments = sum(parts * texts for parts, texts in self._parts.items())
        return TextEstimate(
            example=example,
            encoding=counted.encoding,
            units=counted.units,
            mean_parts=segments / recipients if recipients else float(counted.parts),
            most_parts=max(self._parts, default=counted.parts),
            recipients=recipients,
            over_one=recipients - self._parts[1],
            histogram=tuple(sorted(self._parts.items())),
            replaced=tuple(replaced),
            in_text=self._in_text,
            in_values=tuple(culprits),
            forced=self._forced,
            samples=tuple(self._samples),
        )

    def _text(self, fields: Mapping[str, Sequence[str]], place: int) -> str:
        row = {name: [column[place]] for name, column in fields.items()}
        return self._renderer.lengths(row, 1, self._bases)[0]

    def _note_replaced(self, fields: Mapping[str, Sequence[str]], goes: NDArray[np.bool_]) -> None:
        written = self._renderer.written(fields, len(goes), self._bases)
        sent = self._renderer.lengths(fields, len(goes), self._bases)
        changed = Counter(written[place] for place in np.flatnonzero(goes).tolist() if written[place] != sent[place])
        for text, times in changed.items():
            for replaced in replacements_in(text).items():
                self._replaced[replaced] += times

    def _blame(
        self, fields: Mapping[str, Sequence[str]], goes: NDArray[np.bool_], foreign: Mapping[str, frozenset[str]]
    ) -> None:
        forced = np.zeros(len(goes), np.bool_)
        for name, characters in foreign.items():
            if not characters:
                continue
            column = fields[name]
            for place in np.flatnonzero(goes).tolist():
                culprits = self._lasting(column[place]) if characters.intersection(column[place]) else ()
                if culprits:
                    forced[place] = True
                    self._culprits.update((character, name) for character in culprits)
                    if len(self._samples) < SAMPLES:
                        self._samples[f"{name} {column[place]!r}"] = None
        self._forced += int(forced.sum())
