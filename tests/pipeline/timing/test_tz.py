"""Time zones by the pinned data: nothing of the machine's, and every change of clocks where the data has it."""

from __future__ import annotations

import shutil
import struct
import zoneinfo
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.timing import tz
from schemas.ids import zone_names


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type, misc]


def transitions(name: str) -> list[int]:
    """Instants (ms) at which the zone's file has an entry, read from its bytes (RFC 9636, second block)."""
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()

    def counts(at: int) -> tuple[int, ...]:
        assert data[at : at + 4] == b"TZif"
        return struct.unpack(">6l", data[at + 20 : at + 44])

    isutc, isstd, leap, times, types, chars = counts(0)
    second = 44 + times * 5 + types * 6 + chars + leap * 8 + isstd + isutc
    times = counts(second)[3]
    return [at * 1000 for at in struct.unpack(f">{times}q", data[second + 44 : second + 44 + 8 * times])]


def test_the_machines_own_zone_data_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    with files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").open("rb") as tokyo:
        (tmp_path / "Europe" / "Paris").write_bytes(tokyo.read())
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    before = zoneinfo.TZPATH
    try:
        zoneinfo.reset_tzpath(to=[str(tmp_path)])
        tz.zone.cache_clear()
        assert noon.astimezone(zoneinfo.ZoneInfo.no_cache("Europe/Paris")).hour == 21
        assert noon.astimezone(tz.zone("Europe/Paris")).hour == 14
    finally:
        zoneinfo.reset_tzpath(to=list(before))
        shutil.rmtree(tmp_path)


def test_an_unknown_zone_is_refused_by_name() -> None:
    for name in ("Mars/Olympus", "../../etc/passwd", ""):
        with pytest.raises(ValueError, match="is no IANA time zone"):
            tz.zone(name)


def test_pieces_change_exactly_where_the_data_does() -> None:
    changes = 0
    for name in sorted(zone_names()):
        entries = [at for at in transitions(name) if ms(2000, 1, 1) <= at < ms(2037, 12, 31)]
        gaps = [after - before for before, after in pairwise(entries)]
        assert not gaps or min(gaps) > tz._STEP
        for at in entries:
            if tz.offset(name, at - 1000) != tz.offset(name, at):
                day = tz.pieces(name, at // tz.DAY)
                assert at in {start for start, _, _ in day} or at % tz.DAY == 0, (name, at)
                assert {offset for start, end, offset in day if start <= at < end} == {tz.offset(name, at)}
                changes += 1
    assert changes > 5_000


def test_pieces_cover_the_day_also_past_the_last_entry_of_the_data() -> None:
    for name in ("America/New_York", "Africa/Cairo", "Pacific/Apia", "Asia/Kathmandu", "America/Havana"):
        for day in range(ms(2039, 1, 1) // tz.DAY, ms(2041, 1, 1) // tz.DAY):
            pieces = tz.pieces(name, day)
            assert (pieces[0][0], pieces[-1][1]) == (day * tz.DAY, (day + 1) * tz.DAY)
            assert all(a[1] == b[0] and a[2] != b[2] for a, b in pairwise(pieces))
            for start, end, offset in pieces:
                assert tz.offset(name, start) == tz.offset(name, end - 1000) == offset


def test_the_names_are_those_of_the_pinned_data() -> None:
    assert {"Europe/Paris", "America/Ciudad_Juarez", "US/Eastern", "UTC"} <= zone_names()
    for name in zone_names():
        assert tz.zone(name).key == name
