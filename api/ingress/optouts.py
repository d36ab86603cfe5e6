"""GET and POST /o/{token}: the opt-out link of one recipient.

GET shows a page with one button and changes nothing, because scanners and previews follow links; POST, which the
button makes, opts the number out, and is answered after Kafka has acknowledged it.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Final

from adapters.kafka.consents import emit_consent
from adapters.ports import Emitter
from api.ingress.http import Answer, Refused
from pipeline.identity.optout_links import TOKEN_LENGTH, OptOutToken, parse_optout_token
from pipeline.identity.tokens import without_tail
from schemas.feedback import Consent

AGENT_LIMIT: Final = 256
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 15vh auto 0; padding: 0 1.2rem; }}
button {{ font: inherit; padding: .7rem 1.4rem; border: 0; border-radius: .4rem; background: #b3261e; color: #fff; }}
</style></head>
<body><h1>{title}</h1>{body}</body></html>
"""


class OptOutLinks:
    """Answers opt-out links and writes opt-outs to topic `optouts`."""

    def __init__(self, key: bytes, emitter: Emitter, account_of: Callable[[str], str]) -> None:
        """`account_of(campaign)`: whose consent a link of that campaign withdraws, "" for every account."""
        self._key = key
        self._emitter = emitter
        self._account_of = account_of

    def ask(self, token: str) -> Answer:
        """The page with the button.

        Raises:
            Refused: 404, the token is not genuine.
        """
        parsed = self._genuine(token)
        form = '<form method="post"><button>Unsubscribe</button></form>'
        return _page("Unsubscribe?", f"<p>{_shown(parsed)} will get no more texts.</p>{form}")

    async def opt_out(self, token: str, user_agent: str, now: int) -> Answer:
        """The page that says that it is done, once the opt-out was acknowledged. Repeating it changes nothing more.

        Raises:
            Refused: 404, the token is not genuine.
            EmitError: not acknowledged.
        """
        parsed = self._genuine(token)
        evidence = f"opt-out link of campaign {parsed.campaign}, confirmed by button: {user_agent[:AGENT_LIMIT]}"
        record = Consent(
            account=self._account_of(parsed.campaign), number=parsed.number, state="out", at=now, source="link",
            evidence=evidence, campaign=parsed.campaign,
        )  # fmt: skip
        await emit_consent(self._emitter, record)
        return _page("Unsubscribed", f"<p>{_shown(parsed)} will get no more texts. Text START to come back.</p>")

    def _genuine(self, token: str) -> OptOutToken:
        parsed = parse_optout_token(self._key, without_tail(token, TOKEN_LENGTH))
        if parsed is None:
            raise Refused(404, "no such link")
        return parsed


def _shown(parsed: OptOutToken) -> str:
    """The number as its owner recognizes it and nobody else does."""
    return escape(f"The number that ends in {parsed.number % 100:02d}")


def _page(title: str, body: str) -> Answer:
    return Answer(200, _PAGE.format(title=escape(title), body=body).encode(), dict(_HEADERS))
