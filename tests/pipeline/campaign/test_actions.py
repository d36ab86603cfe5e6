"""One table says which commands a status takes, and the status machine goes by it."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.campaign.actions import ACTIONS, is_allowed
from pipeline.campaign.statuses import apply
from schemas.campaign import Action, Command, Status
from tests.pipeline.campaign.test_statuses import ID, LATER, TERMS, document


@pytest.mark.parametrize("status", get_args(Status))
@pytest.mark.parametrize("action", ["edit", "delete", "launch", "pause", "resume", "cancel", "resolve"])
def test_a_command_that_the_table_lacks_is_refused(status: Status, action: Action) -> None:
    record = Command(id="c9", campaign=ID, action=action, at=LATER, by="me")
    made = apply(document(status), record, LATER, lambda spec: TERMS)
    if not is_allowed(action, status):
        assert made.error.startswith(f"campaign {ID} is ")


def test_every_status_has_its_row() -> None:
    assert set(ACTIONS) == set(get_args(Status))
