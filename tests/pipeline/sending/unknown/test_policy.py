"""A policy that the aggregator cannot keep is refused before anybody is sent to."""

from __future__ import annotations

from typing import get_args

import pytest

from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import Capabilities
from adapters.settings import Settings
from agents.context import Context
from agents.coordinator import Coordinator
from pipeline.campaign.plan import Terms
from pipeline.campaign.transitions import Unfit
from pipeline.sending.unknown.policy import unsupported
from schemas.campaign import CampaignSpec, UnknownPolicy
from tests.accounts import book


@pytest.mark.parametrize("policy", get_args(UnknownPolicy))
@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("queries", [False, True])
def test_only_what_the_aggregator_cannot_do_is_refused(policy: UnknownPolicy, keys: bool, queries: bool) -> None:
    refused = {"resend-with-key": not keys, "query": not queries}.get(policy, False)
    said = unsupported(policy, "north", Capabilities(1, keys, queries))
    assert bool(said) == refused
    if refused:
        assert "aggregators.north " in said
        assert "setting" not in said, "a kind that can never do it has none"
        assert "choose" in said


@pytest.mark.parametrize(("policy", "setting"), [("resend-with-key", "idempotency_keys"), ("query", "query_url")])
def test_a_launch_on_a_sender_whose_aggregator_lacks_it_is_refused(policy: str, setting: str) -> None:
    spec = CampaignSpec.model_validate(
        {
            "name": "n",
            "account": "demo",
            "sender": "main",
            "audience": {"numbers": ["+12125550123"]},
            "messages": [{"text": "hi"}],
            "unknown": policy,
        }
    )

    def terms(aggregator: HttpBatchSettings) -> Terms | Unfit | str:
        context = Context(Settings(aggregators={"local": aggregator}), "tested")
        context.accounts = book()
        return Coordinator(context, None)._terms(spec)  # type: ignore[arg-type]

    said = terms(HttpBatchSettings(idempotency_keys=False))
    assert isinstance(said, str)
    assert setting in said
    assert isinstance(terms(HttpBatchSettings(query_url="http://127.0.0.1:1/")), Terms)
