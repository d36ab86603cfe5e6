"""Fan-out tasks and recipient chunks (columns of up to 500 recipients)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.wire import CHUNK_LIMIT, Campaign, Codec, Count, Millis, Number, Ordinal, Record, same_length

MessageIndex = Annotated[int, msgspec.Meta(ge=0, le=255)]
Revision = Annotated[int, msgspec.Meta(ge=1)]


class Freeze(Record, tag="freeze", kw_only=True):
    """Topic `fanout`, keyed by campaign: freeze the audience of a campaign into ordinals."""

    campaign: Campaign
    revision: Revision


class FanoutRange(Record, tag="range", kw_only=True):
    """Topic `fanout`, keyed by `CAMPAIGN/first`: expand ordinals [first, last) into recipient chunks."""

    campaign: Campaign
    revision: Revision
    message: MessageIndex
    first: Ordinal
    last: Ordinal

    def __post_init__(self) -> None:
        if self.first >= self.last:
            raise ValueError(f"empty range [{self.first}, {self.last})")


class MakeRetryList(Record, tag="make-retry-list", kw_only=True):
    """Topic `fanout`, keyed by campaign: make the list of those recipients of `of` whom `campaign` tries again, by
    their state and reason (`schemas.selection`)."""

    campaign: Campaign
    of: Campaign
    states: list[str]
    reasons: list[str]
    left_out: list[str]


class DropRetryList(Record, tag="drop-retry-list", kw_only=True):
    """Topic `fanout`, keyed by campaign: the draft `campaign`, a retry of `of`, is deleted, and its list with it."""

    campaign: Campaign
    of: Campaign


class RecipientChunk(Record, tag="recipients", kw_only=True):
    """Topic `recipients`, partition by bucket range: recipients with ordinals first, first+1, ….

    Never crosses a partition of `recipients` nor a multiple of 500 ordinals (so it lies in one lane).
    `zones`, `countries`, `regions` are dictionaries indexed by `zone`, `country`, `region` ("" = not known).
    `fields` maps each attribute that the campaign's templates use to a column of n strings.
    """

    campaign: Campaign
    revision: Revision
    message: MessageIndex
    first: Ordinal
    numbers: list[Number]
    zones: list[str]
    zone: list[Count]
    countries: list[str]
    country: list[Count]
    regions: list[str]
    region: list[Count]
    fields: dict[str, list[str]]

    def __post_init__(self) -> None:
        n = len(self.numbers)
        if not 0 < n <= CHUNK_LIMIT:
            raise ValueError(f"a chunk has 1 to {CHUNK_LIMIT} recipients, this one {n}")
        same_length(n, zone=self.zone, country=self.country, region=self.region)
        same_length(n, **self.fields)
        for name, index, entries in (
            ("zone", self.zone, self.zones),
            ("country", self.country, self.countries),
            ("region", self.region, self.regions),
        ):
            if max(index) >= len(entries):
                raise ValueError(f"column {name} points past its dictionary of {len(entries)}")


class Release(Record, tag="release", kw_only=True):
    """Topic `recipients`, partition by bucket range: `numbers` will certainly not get this message, so their
    smart-sending reservations for it are given back. Comes after the recipient chunk that reserved, and never crosses
    a partition either."""

    campaign: Campaign
    message: MessageIndex
    numbers: list[Number]
    at: Millis

    def __post_init__(self) -> None:
        if not 0 < len(self.numbers) <= CHUNK_LIMIT:
            raise ValueError(f"a release has 1 to {CHUNK_LIMIT} recipients, this one {len(self.numbers)}")


class Move(Record, tag="move", kw_only=True):
    """Topic `recipients`, partition by bucket range: `numbers` will not get this message before `due`, long after it
    was planned, so their reservations for it move there. Never crosses a partition."""

    campaign: Campaign
    message: MessageIndex
    numbers: list[Number]
    due: Millis
    at: Millis

    def __post_init__(self) -> None:
        if not 0 < len(self.numbers) <= CHUNK_LIMIT:
            raise ValueError(f"a move has 1 to {CHUNK_LIMIT} recipients, this one {len(self.numbers)}")


FanoutRecord = Freeze | FanoutRange | MakeRetryList | DropRetryList
"""What topic `fanout` carries."""

FANOUT: Codec[FanoutRecord] = Codec(FanoutRecord)
RECIPIENTS: Codec[RecipientChunk | Release | Move] = Codec(RecipientChunk | Release | Move)


def lane_of_ordinal(ordinal: int, lanes: tuple[int, ...] | list[int]) -> int:
    """Lane that carries an ordinal for the campaign's whole life (lanes are frozen with the audience)."""
    return lanes[ordinal // CHUNK_LIMIT % len(lanes)]
