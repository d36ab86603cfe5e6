"""What an account's spec refuses as a whole."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.accounts import AccountSpec


def test_a_name_to_look_for_must_be_there() -> None:
    with pytest.raises(ValidationError, match='"check" needs a site_name'):
        AccountSpec.model_validate({"site_name": " ", "site_name_rule": "check"})
    assert AccountSpec.model_validate({"site_name": "Acme", "site_name_rule": "check"}).site_name_rule == "check"
    assert AccountSpec.model_validate({"site_name_rule": "off"}).site_name_rule == "off"
