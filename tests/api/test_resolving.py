"""Which numbers a wish to resolve names."""

from __future__ import annotations

import pytest

from api.resolving import wanted_numbers
from api.web.errors import ApiError


def test_numbers_as_typed_and_as_the_export_writes_them_each_once() -> None:
    no_longer_valid = "12140000000"
    typed = ["+1 212 555 0100", "+12125550100", f"+{no_longer_valid}", f"+{no_longer_valid}"]
    assert wanted_numbers(typed) == [12125550100, int(no_longer_valid)]


@pytest.mark.parametrize("text", ["", "anna", "0612345678", "+0612345678", "1" * 16])
def test_what_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ApiError, match="write each with its country"):
        wanted_numbers(["+12125550100", text])
