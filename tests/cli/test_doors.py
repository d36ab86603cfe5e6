"""`longwave doctor` about who may reach the API."""

from __future__ import annotations

import pytest

from adapters.doors.settings import Api
from adapters.settings import Settings
from cli.stack import doctor


@pytest.mark.parametrize(
    ("api", "is_right"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "public_url": "https://longwave.example"}, True),
        ({"public_url": "http://longwave.example"}, False),
        ({"public_url": "https://longwave.example"}, True),
        ({"public_url": "http://localhost:18080"}, True),
    ],
)
def test_keys_travel_beyond_this_machine_over_https_only(api: dict[str, str], is_right: bool) -> None:
    (finding,) = doctor._doors(Settings(api=Api(port=18080, **api)))  # type: ignore[arg-type]
    assert (finding.ok, bool(finding.fix)) == (is_right, not is_right)
