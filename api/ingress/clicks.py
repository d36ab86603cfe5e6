"""GET and HEAD /c/{token}: a short link. Redirects to the campaign's own URL after the click was acknowledged.

Every request with a genuine token is recorded, those of link previews and scanners too: which of them were people is
decided by a rule later, from the method and the user agent.
"""

from __future__ import annotations

from typing import Final, Protocol

from adapters.ports import Emitter
from api.ingress.coalesce import Coalescer
from api.ingress.http import Answer, Refused
from pipeline.identity.tokens import TOKEN_LENGTH, ClickToken, parse_click_token, without_tail
from schemas import topics
from schemas.campaign import CampaignDocument
from schemas.feedback import Click, ClickBatch
from schemas.wire import encode

AGENT_LIMIT: Final = 256
PURPOSE_LIMIT: Final = 64


class Campaigns(Protocol):
    """Where campaign documents are looked up (`adapters.kafka.views.CampaignView`)."""

    def get(self, campaign: str) -> CampaignDocument | None: ...


_Key = tuple[str, int]


def targets(document: CampaignDocument) -> list[list[str]]:
    """URLs by message and link index; a link's index is its place among the sorted names."""
    return [[str(message.links[name]) for name in sorted(message.links)] for message in document.parsed().messages]


class Clicks:
    """Answers short links and writes clicks to topic `clicks`."""

    def __init__(self, key: bytes, campaigns: Campaigns, emitter: Emitter) -> None:
        self._key = key
        self._campaigns = campaigns
        self._emitter = emitter
        self._targets: dict[str, tuple[int, list[list[str]]]] = {}
        self._coalescer: Coalescer[_Key, Click] = Coalescer(self._emit)

    async def follow(
        self, token: str, method: str, user_agent: str, now: int, purpose: str = "", owner: str = ""
    ) -> Answer:
        """The redirect of a short link, once its click was acknowledged. `owner`: the account on whose domain it was
        followed, "" where it is nobody's.

        Raises:
            Refused: 404, the token is not genuine, its campaign or link is not known, or the domain is another
                account's.
            EmitError: not acknowledged.
        """
        parsed = parse_click_token(self._key, without_tail(token, TOKEN_LENGTH))
        if parsed is None:
            raise Refused(404, "no such link")
        target = self._target(parsed, owner)
        click = Click(
            ordinal=parsed.ordinal,
            link=parsed.link,
            at=now,
            method=method,
            user_agent=user_agent[:AGENT_LIMIT],
            purpose=purpose[:PURPOSE_LIMIT],
        )
        await self._coalescer.add((parsed.campaign, parsed.message), [click])
        return Answer(302, headers={"Location": target, "Cache-Control": "no-store"})

    async def close(self) -> None:
        await self._coalescer.close()

    def _target(self, parsed: ClickToken, owner: str) -> str:
        document = self._campaigns.get(parsed.campaign)
        if document is None:
            raise Refused(404, "no such campaign")
        if owner and owner != document.account:
            raise Refused(404, "no such link")
        known = self._targets.get(parsed.campaign)
        if known is None or known[0] != document.revision:
            # Checking a spec takes longer than all else here, so its outcome is kept.
            known = self._targets[parsed.campaign] = (document.revision, targets(document))
        try:
            return known[1][parsed.message][parsed.link]
        except IndexError:
            raise Refused(404, "no such link in its campaign") from None

    async def _emit(self, key: _Key, clicks: list[Click]) -> None:
        campaign, message = key
        record = ClickBatch(campaign=campaign, message=message, clicks=clicks)
        await self._emitter.emit(topics.CLICKS.name, encode(record), key=campaign.encode())
