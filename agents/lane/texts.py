"""The texts of a slice, as an aggregator is given them."""

from __future__ import annotations

import msgspec

from adapters.ports import Submission
from adapters.settings import Settings
from pipeline.content.outgoing import (
    LinkBases,
    LinkSigner,
    Renderer,
    compile_lane_message,
    everywhere,
    on_domain,
)
from pipeline.content.segments import count_many
from pipeline.identity.tokens import message_ids
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Prepared
from schemas.lane import LaneMessage


class Texts:
    """Renders one lane's messages; a template is compiled once."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.token_key.get_secret_value().encode()
        self._url = settings.ingress.url
        self._signer = LinkSigner(self._key, everywhere(self._url))
        self._renderers: dict[bytes, Renderer] = {}

    def prepare(self, state: LaneState, flight: Flight) -> Prepared[Submission]:
        """Submissions, numbers and the sum of segments of a flight."""
        batch: list[Submission] = []
        numbers: list[int] = []
        segments = 0
        campaign, message = flight.key
        renderer = self._renderer(state.campaigns[campaign].settings.messages[message])
        sender = state.senders[flight.sender].number
        signer = LinkSigner(self._key, self._bases(state, flight)) if flight.domains else self._signer
        for chunk, start, stop in flight.slices:
            work = state.work(chunk)
            ordinals = work.ordinals[start:stop]
            fields = {name: column[start:stop] for name, column in work.fields.items()}
            part = work.numbers[start:stop]
            texts = renderer.render(campaign, message, ordinals, fields, signer, part)
            ids = message_ids(campaign, message, ordinals)
            batch += [Submission(i, to, text, sender) for i, to, text in zip(ids, part, texts, strict=True)]
            numbers += part
            segments += sum(work.segments[start:stop])
        if not flight.domains:
            return Prepared(batch, numbers, segments)
        # The WORK was counted with the longest domain that there was then.
        counted = count_many([item.text for item in batch]).tolist()
        return Prepared(batch, numbers, sum(counted), counted)

    def _bases(self, state: LaneState, flight: Flight) -> LinkBases:
        """Where the links of a flight with domains begin; those of a kind without one at our own address."""
        uses = {limit.name: limit.use for limit in state.domains[flight.sender[0]].domains}
        on = {uses[name]: on_domain(self._url, name) for name in flight.domains}
        return LinkBases(on.get("short", self._url), on.get("opt-out", self._url))

    def _renderer(self, message: LaneMessage) -> Renderer:
        key = msgspec.msgpack.encode(message)  # the same text may have other links or settings in another campaign
        renderer = self._renderers.get(key)
        if renderer is None:
            renderer = self._renderers[key] = compile_lane_message(message)
        return renderer
