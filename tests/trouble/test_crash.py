"""A short run of the kill harness; `longwave bench crash` does the long ones."""

from __future__ import annotations

from loadtest.bench.crash.findings import Findings
from loadtest.bench.crash.plan import Blow
from loadtest.bench.crash.run import Setting, carried_out

BLOWS = [Blow("scale", 0.0, 0.5), Blow("overlap", 0.0, 0.5, ("kill worker", "kill broker"), 1.5)]
"""One worker, three, and one again in good order; then the one that is left is killed, and the broker while it comes
back. Each server alone is killed in tests/trouble/test_servers.py."""


def test_whatever_process_dies_no_recipient_is_lost_or_gets_it_twice() -> None:
    said: list[str] = []
    setting = Setting("skip", recipients=5000, lanes=(0, 1), backlog=4, workers=1)
    actual = carried_out(setting, BLOWS, said.append)
    adds_up(actual)
    assert [recovery.kind for recovery in actual.recoveries] == [blow.kind for blow in BLOWS]
    scaled, killed = actual.recoveries
    assert scaled.unknown == 0
    # Somebody was in flight when the worker died; whoever the aggregator has is known to be there by the receipt.
    assert killed.unknown > 0
    assert actual.largest_unknown <= actual.window
    account = actual.account
    not_there = account.states["unknown"] + account.not_sent + account.states["skipped"]
    assert account.targeted - account.received == not_there
    assert len(said) == len(BLOWS) + 1
    assert actual.stopped.acknowledged > 20
    assert actual.stopped.late == []


def adds_up(findings: Findings) -> None:
    account = findings.account
    assert findings.trouble == []
    assert (account.lost, account.twice, account.unaccounted, account.unlisted) == (0, 0, 0, 0), account.examples
    assert (account.residual, account.receipts_lost, findings.unbalanced) == (0, 0, [])
    assert findings.looks > 5
