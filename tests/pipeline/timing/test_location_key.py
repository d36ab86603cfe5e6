"""Where a recipient is, as it travels."""

from __future__ import annotations

import pytest

from pipeline.timing.location_key import read_key, write_key


@pytest.mark.parametrize(
    ("zones", "place"),
    [
        (("Europe/Paris",), ("FR", "67")),
        (("America/Chicago", "America/New_York"), ("US", "FL")),
        (("Europe/Guernsey", "Europe/London"), ("GB", "NORTHERN IRELAND")),
        (("Asia/Kolkata",), ("IN", "")),
        (("Europe/Paris",), ("", "")),
    ],
)
def test_what_is_written_is_read(zones: tuple[str, ...], place: tuple[str, str]) -> None:
    assert read_key(write_key(zones, place)) == (zones, place)


@pytest.mark.parametrize("text", ["", "FR", "FR "])
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not say where"):
        read_key(text)
