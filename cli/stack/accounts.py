"""Whether an installation has any account: without one nothing can be sent."""

from __future__ import annotations

from adapters.settings import Settings
from adapters.terminal import UserError
from cli.client import api_of
from cli.stack.findings import Finding

ADD = "`longwave accounts apply FILE.toml` adds those of a file; `longwave demo` adds a sample account"
ASK_SECONDS = 5.0


def accounts(settings: Settings) -> Finding | None:
    """What there is; None where the API does not say (other checks tell why)."""
    try:
        answer = api_of(settings, ASK_SECONDS).get("/v1/accounts", size=1)
    except UserError:
        return None
    if not answer["accounts"]:
        return Finding("accounts", False, "no account yet, so nothing can be sent", ADD)
    return Finding("accounts", True, "there are accounts")
