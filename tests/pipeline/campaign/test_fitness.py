"""Whether a campaign's account and sender may send."""

from __future__ import annotations

import pytest

from pipeline.campaign.fitness import unfit_sender
from pipeline.campaign.transitions import Unfit
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
[accounts.linked]
own_domains = true
[accounts.linked.senders.main]
number = "+18885550102"
[accounts.linked.domains."go.example.com"]
active = false
[accounts.linked.domains."out.example.com"]
kind = "opt-out"
""")


def spec(account: str, sender: str, text: str = "Hi") -> CampaignSpec:
    message = {"text": text, "links": {"default": "https://shop.example"}}
    given = {"name": "x", "audience": {"lists": ["a"]}, "messages": [message]}
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


@pytest.mark.parametrize(
    ("text", "is_fit"),
    [("Sale: {link}", False), ("Sale", True), ("Sale. Opt out: {optout_link}", True)],
    ids=["a link", "no link", "an opt-out link"],
)
def test_links_without_a_domain_that_is_active_cannot_be_made(text: str, is_fit: bool) -> None:
    unfit = unfit_sender(BOOK, spec("linked", "main", text))
    assert unfit == (None if is_fit else Unfit("no_domain:short links of linked"))
    # Whoever has no domains of its own uses the installation's.
    assert unfit_sender(BOOK, spec("demo", "main", text)) is None
