"""A policy that the aggregator cannot keep is refused before anybody is sent to."""

from __future__ import annotations

from typing import get_args

import pytest

from adapters.settings import Aggregator, Settings
from agents.context import Context
from agents.coordinator import Coordinator
from pipeline.campaign.plan import Terms
from pipeline.sending.unknown_policy import unsupported
from schemas.campaign import CampaignSpec, UnknownPolicy


@pytest.mark.parametrize("policy", get_args(UnknownPolicy))
@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/v1/query"])
def test_only_what_the_aggregator_cannot_do_is_refused(policy: UnknownPolicy, keys: bool, url: str) -> None:
    refused = {"resend-with-key": not keys, "query": not url}.get(policy, False)
    said = unsupported(policy, "north", idempotency_keys=keys, query_url=url)
    assert bool(said) == refused
    if refused:
        assert "aggregators.north." in said
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

    def terms(aggregator: Aggregator) -> Terms | str:
        context = Context(Settings(aggregators={"local": aggregator}), "tested")
        return Coordinator(context, None)._terms(spec)  # type: ignore[arg-type]

    said = terms(Aggregator(idempotency_keys=False))
    assert isinstance(said, str)
    assert setting in said
    assert isinstance(terms(Aggregator(query_url="http://127.0.0.1:1/")), Terms)
