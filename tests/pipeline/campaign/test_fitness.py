"""Whether a campaign's account and sender may send."""

from __future__ import annotations

import pytest

from pipeline.campaign.fitness import unfit_sender
from schemas.campaign import CampaignSpec
from schemas.reasons import Reason, in_words, split
from tests.accounts import book

BOOK = book("""
[accounts.demo.senders.main]
number = "+18885550100"
[accounts.asleep]
active = false
[accounts.asleep.senders.main]
number = "+18885550101"
""")


def spec(account: str, sender: str) -> CampaignSpec:
    given = {"name": "x", "audience": {"lists": ["a"]}, "messages": [{"text": "Hi"}]}
    return CampaignSpec.model_validate({**given, "account": account, "sender": sender})


def test_who_is_there_may_send() -> None:
    assert unfit_sender(BOOK, spec("demo", "main")) is None


@pytest.mark.parametrize(
    ("account", "sender", "reason", "refusal"),
    [
        ("nobody", "main", Reason.ACCOUNT_INACTIVE, "there is asleep, demo"),
        ("demo", "second", Reason.SENDER_REMOVED, "there is main"),
        ("asleep", "main", Reason.ACCOUNT_INACTIVE, ""),
    ],
)
def test_who_is_not_there_is_named(account: str, sender: str, reason: Reason, refusal: str) -> None:
    unfit = unfit_sender(BOOK, spec(account, sender))
    assert unfit is not None
    assert split(unfit.reason)[0] == reason
    assert account in in_words(unfit.reason)
    assert refusal in unfit.refusal
    assert bool(unfit.refusal) == bool(refusal)
