"""The account that benchmarks send from: one sender, as fast as its account."""

from __future__ import annotations

from collections.abc import Sequence


def one_sender(rate: float, lanes: Sequence[int], *more: str) -> str:
    """Settings (TOML) of account `demo` with sender `main` of `rate` segments/s on `lanes`. `more`: lines of other
    tables, before it."""
    return "\n".join(
        (
            *more,
            "[accounts.demo]",
            'site_name = ""',
            f"segments_per_second = {rate}",
            "[accounts.demo.senders.main]",
            'number = "+18885550100"',
            f"segments_per_second = {rate}",
            f"lanes = {list(lanes)}",
            "",
        )
    )
