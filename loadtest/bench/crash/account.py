"""The closing account: our states of every recipient against the aggregator's own record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cli.client import Client
from schemas.reasons import Reason
from schemas.succession import FINAL, HANDED_OVER


@dataclass(slots=True)
class Account:
    """Recipients over all campaigns. `lost`: neither at the aggregator nor known as not sent, or unknown; `twice`:
    taken more than once; `unaccounted`: at the aggregator, but not in our account; `unlisted`: in the figure of
    unknown ones and not in their export, or the other way round; `residual` at the end; `receipts_lost`: accepted
    for good; `not_sent`: a lost owner said later that it had not submitted them, so they are rejected with that
    reason, and `campaign retry-failed` takes them."""

    targeted: int = 0
    received: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    twice: int = 0
    unaccounted: int = 0
    unlisted: int = 0
    residual: int = 0
    receipts_lost: int = 0
    not_sent: int = 0
    never_handed_over: int = 0
    """Of the unknown ones those that the aggregator never got: a crash met their INTENT and nothing more."""
    examples: list[str] = field(default_factory=list)

    def add(self, client: Client, shown: dict[str, Any], taken: NDArray[np.uint8], folder: Path) -> None:
        """Take in a campaign that has ended. `taken`: how often each ordinal's message was taken."""
        campaign, figures = shown["id"], shown["figures"]
        state, not_sent = _states(client, campaign, folder)
        listed = _listed(client, campaign, folder)
        handed_over, unknown = np.isin(state, HANDED_OVER), state == "unknown"
        lost = (taken == 0) & ~np.isin(state, [*FINAL, "unknown"]) & ~not_sent
        unaccounted = (taken > 0) & (not_sent | (~handed_over & ~unknown))
        self.not_sent += int(not_sent.sum())
        self.never_handed_over += int((unknown & (taken == 0)).sum())
        self.targeted += figures["targeted"]
        self.received += int((taken > 0).sum())
        self.states.update({name: int(count) for name, count in figures["states"].items() if count})
        self.lost += int(lost.sum()) + abs(figures["targeted"] - len(state))
        self.twice += int((taken > 1).sum())
        self.unaccounted += int(unaccounted.sum())
        self.unlisted += len(listed ^ set(np.flatnonzero(unknown).tolist())) + abs(
            figures["states"]["unknown"] - len(listed)
        )
        self.residual += abs(figures["residual"])
        self.receipts_lost += figures["states"]["accepted"]
        for what, mask in (("lost", lost), ("twice", taken > 1), ("unaccounted", unaccounted)):
            self.examples += [f"{what} {campaign}-0-{n} {state[n]}" for n in np.flatnonzero(mask)[:3].tolist()]


def _states(client: Client, campaign: str, folder: Path) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """State by ordinal, as the export of the whole campaign says ("missing" where it has no row), and which of them
    were certainly not sent by an owner that lost its lane."""
    rows = _export(client, campaign, folder)
    ordinals = rows["ordinal"].to_numpy().astype(np.int64)
    states = np.full(int(ordinals.max(initial=-1)) + 1, "missing", dtype="U16")
    states[ordinals] = rows["state"].to_numpy().astype("U16")
    not_sent = np.zeros(len(states), dtype=np.bool_)
    not_sent[ordinals] = rows["reason"].to_numpy() == Reason.NOT_SENT_BY_LOST_OWNER
    return states, not_sent & (states == "rejected")


def _listed(client: Client, campaign: str, folder: Path) -> set[int]:
    """Ordinals that `campaign export --state unknown` lists."""
    return set(_export(client, campaign, folder, state="unknown")["ordinal"].to_numpy().tolist())


def _export(client: Client, campaign: str, folder: Path, **query: str) -> pa.Table:
    file = folder / f"{campaign}.parquet"
    client.download(f"/v1/campaigns/{campaign}/export", file, format="parquet", **query)
    return pq.read_table(file, columns=["ordinal", "state", "reason"])
