"""The texts of a slice, as an aggregator is given them."""

from __future__ import annotations

from adapters.ports import Submission
from adapters.settings import Settings
from pipeline.content.outgoing import LinkSigner, Renderer, compile_lane_message
from pipeline.identity.tokens import message_ids
from pipeline.lane.state import Flight, LaneState
from pipeline.sending.effects import Prepared
from schemas.lane import LaneMessage


class Texts:
    """Renders one lane's messages; a template is compiled once."""

    def __init__(self, settings: Settings) -> None:
        self._signer = LinkSigner(settings.token_key.get_secret_value().encode(), settings.ingress.url)
        self._renderers: dict[str, Renderer] = {}

    def prepare(self, state: LaneState, flight: Flight) -> Prepared[Submission]:
        """Submissions, numbers and the sum of segments of a flight."""
        batch: list[Submission] = []
        numbers: list[int] = []
        segments = 0
        campaign, message = flight.key
        renderer = self._renderer(state.campaigns[campaign].settings.messages[message])
        sender = state.senders[flight.sender].number
        for chunk, start, stop in flight.slices:
            work = state.work(chunk)
            ordinals = work.ordinals[start:stop]
            fields = {name: column[start:stop] for name, column in work.fields.items()}
            part = work.numbers[start:stop]
            texts = renderer.render(campaign, message, ordinals, fields, self._signer, part)
            ids = message_ids(campaign, message, ordinals)
            batch += [Submission(i, to, text, sender) for i, to, text in zip(ids, part, texts, strict=True)]
            numbers += part
            segments += sum(work.segments[start:stop])
        return Prepared(batch, numbers, segments)

    def _renderer(self, message: LaneMessage) -> Renderer:
        renderer = self._renderers.get(message.text)
        if renderer is None:
            renderer = self._renderers[message.text] = compile_lane_message(message)
        return renderer
