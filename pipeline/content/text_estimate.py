"""How long the texts of a campaign will be, over all recipients who get one, and which characters make them long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.content.outgoing import LinkBases, Renderer
from pipeline.content.render import Template
from pipeline.content.segments import Encoding, count, foreign_characters

SAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A character outside GSM-7, and how many recipients have it in an attribute."""

    character: str
    attribute: str
    recipients: int


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
    in_text: tuple[str, ...]
    """Characters outside GSM-7 that the author wrote: every text is in UCS-2."""
    in_values: tuple[Culprit, ...]
    """Those that come from recipients' values, the most frequent first; () where the text has some itself."""
    forced: int
    """Recipients whose values force UCS-2."""
    samples: tuple[str, ...]
    """Some of these values, as `first_name 'Łukasz'`."""


class TextSurvey:
    """Counts one message; fed page by page."""

    def __init__(self, template: Template, renderer: Renderer, bases: LinkBases) -> None:
        self._fields = template.fields
        self._renderer = renderer
        self._bases = bases
        self._in_text = tuple(foreign_characters("".join(template.literals)))
        self._culprits: Counter[tuple[str, str]] = Counter()
        self._samples: dict[str, None] = {}
        self._forced = 0
        self._recipients = 0
        self._parts = 0
        self._over_one = 0
        self._most = 0
        self._example = ""

    def add(self, fields: Mapping[str, Sequence[str]], segments: NDArray[np.uint16], goes: NDArray[np.bool_]) -> None:
        """Count a page: its attributes, the segments of each text, and who would get it."""
        places = np.flatnonzero(goes)
        if not len(places):
            return
        mine = segments[places].astype(np.int64)
        self._recipients += len(mine)
        self._parts += int(mine.sum())
        self._over_one += int((mine > 1).sum())
        longest = int(mine.argmax())
        if mine[longest] > self._most:
            self._most = int(mine[longest])
            self._example = self._text(fields, int(places[longest]))
        if not self._in_text:
            self._blame(fields, goes)

    def estimate(self) -> TextEstimate:
        """The result; without recipients, the text of a recipient without attributes."""
        example = self._example if self._recipients else self._text({}, 0)
        counted = count(example)
        culprits = [
            Culprit(character=character, attribute=attribute, recipients=recipients)
            for (character, attribute), recipients in self._culprits.most_common()
        ]
        return TextEstimate(
            example=example,
            encoding=counted.encoding,
            units=counted.units,
            mean_parts=self._parts / self._recipients if self._recipients else float(counted.parts),
            most_parts=self._most or counted.parts,
            recipients=self._recipients,
            over_one=self._over_one,
            in_text=self._in_text,
            in_values=tuple(culprits),
            forced=self._forced,
            samples=tuple(self._samples),
        )

    def _text(self, fields: Mapping[str, Sequence[str]], place: int) -> str:
        row = {name: [column[place]] for name, column in fields.items()}
        return self._renderer.lengths(row, 1, self._bases)[0]

    def _blame(self, fields: Mapping[str, Sequence[str]], goes: NDArray[np.bool_]) -> None:
        forced = np.zeros(len(goes), np.bool_)
        for name in self._fields:
            column = fields.get(name, ())
            foreign = frozenset(foreign_characters("".join(column)))
            if not foreign:
                continue
            for place in np.flatnonzero(goes).tolist():
                culprits = foreign.intersection(column[place])
                if culprits:
                    forced[place] = True
                    self._culprits.update((character, name) for character in culprits)
                    if len(self._samples) < SAMPLES:
                        self._samples[f"{name} {column[place]!r}"] = None
        self._forced += int(forced.sum())
