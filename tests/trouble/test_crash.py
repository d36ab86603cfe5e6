"""A short run of the kill harness; `longwave bench crash` does the long ones."""

from __future__ import annotations

from loadtest.bench.crash.findings import Findings
from loadtest.bench.crash.plan import Blow
from loadtest.bench.crash.run import Setting, carried_out

BLOWS = [Blow("worker", 0.6, 0.5), Blow("writer", 0.0, 0.3), Blow("ingress", 0.0, 0.3), Blow("broker", 0.0, 0.5)]


IN_ORDER = [Blow("scale", 0.0, 0.5), Blow("rolling", 0.0, 0.5)]


def test_whatever_is_killed_nobody_is_lost_and_nobody_gets_it_twice() -> None:
    said: list[str] = []
    setting = Setting("skip", recipients=8000, lanes=(0, 1), backlog=6)
    found = carried_out(setting, BLOWS, said.append)
    adds_up(found)
    assert [one.kind for one in found.recoveries] == [blow.kind for blow in BLOWS]
    assert found.largest_doubt <= found.window
    # Somebody was in flight when the worker died; whoever the aggregator has is known to be there by the receipt.
    assert found.recoveries[0].doubt > 0
    assert found.account.targeted - found.account.received == found.account.states["unknown"]
    assert len(said) == len(BLOWS) + 1


def test_one_worker_three_and_one_again_in_good_order() -> None:
    setting = Setting("skip", recipients=8000, lanes=(0, 1), backlog=6, workers=1)
    found = carried_out(setting, IN_ORDER, lambda line: None)
    adds_up(found)
    assert found.largest_doubt == 0
    assert set(found.account.states) == {"delivered", "undelivered"}


def adds_up(found: Findings) -> None:
    account = found.account
    assert found.trouble == []
    assert (account.lost, account.twice, account.unaccounted, account.unlisted) == (0, 0, 0, 0), account.examples
    assert (account.residual, account.receipts_lost, found.unbalanced) == (0, 0, [])
    assert found.looks > 5
