"""Live pages: so many of a key, and so many of the server that requests find a connection."""

from __future__ import annotations

import contextlib

import pytest

from adapters.doors.settings import Api
from api.web.refusal import ApiError
from api.web.streams import Streams
from tests.adapters.doors.serving import refusals
from tests.api.app import KEY, Fake, ask, served


def test_a_key_has_so_many_and_another_key_its_own() -> None:
    streams, counted = Streams(Api(port=1, streams_per_key=2)), refusals("streams_per_key")
    with streams.opened("a"), streams.opened("a"):
        with pytest.raises(ApiError, match=r"2 live pages open.*api\.streams_per_key"):
            streams.check("a")
        streams.check("b")
        assert counted() == 1
    streams.check("a")


def test_half_of_the_connections_stay_free_for_requests() -> None:
    streams, counted = Streams(Api(port=1, connections=16)), refusals("streams")
    with contextlib.ExitStack() as opened:
        for key in "abcdefgh":
            streams.check(key)
            opened.enter_context(streams.opened(key))
        with pytest.raises(ApiError) as caught:
            streams.check("i")
    assert (caught.value.status, counted()) == (429, 1)


async def test_the_route_refuses_one_too_many() -> None:
    app = served(Fake())
    streams = app.state.services.streams
    with contextlib.ExitStack() as opened:
        for _ in range(streams._per_key):
            opened.enter_context(streams.opened(KEY.id))
        status, answer = await ask(app, "GET", "/v1/live")
    assert (status, "live pages open" in answer["error"]) == (429, True)
    assert (await ask(app, "GET", "/v1/campaigns"))[0] == 200, "everything else is answered"
