"""A short run of the kill harness; `longwave bench crash` does the long ones."""

from __future__ import annotations

from loadtest.bench.crash.plan import Blow
from loadtest.bench.crash.run import Setting, carried_out

BLOWS = [Blow("worker", 0.6, 0.5), Blow("writer", 0.0, 0.3), Blow("ingress", 0.0, 0.3), Blow("broker", 0.0, 0.5)]


def test_whatever_is_killed_nobody_is_lost_and_nobody_gets_it_twice() -> None:
    said: list[str] = []
    setting = Setting("skip", recipients=8000, lanes=(0, 1), backlog=6)
    found = carried_out(setting, BLOWS, said.append)
    account = found.account
    assert found.trouble == []
    assert (account.lost, account.twice, account.unaccounted, account.unlisted) == (0, 0, 0, 0), account.examples
    assert (account.residual, account.receipts_lost, found.unbalanced) == (0, 0, [])
    assert found.looks > 5
    assert [one.kind for one in found.recoveries] == [blow.kind for blow in BLOWS]
    assert found.largest_doubt <= found.window
    # Somebody was in flight when the worker died; whoever the aggregator has is known to be there by the receipt.
    assert found.recoveries[0].doubt > 0
    assert account.targeted - account.received == account.states["unknown"]
    assert len(said) == len(BLOWS) + 1
