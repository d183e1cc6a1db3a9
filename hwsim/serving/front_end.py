"""The API server before an engine: a request is handled and its prompt tokenised before a scheduler sees it.

Main simplification: one server process takes requests one after another for a constant time and one per token of the
prompt; those that arrive at one instant take turns, so that they are all ready when the last one is.  Hops between
processes take a constant time whatever else goes on, and answers never queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING

from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.serving.request import Request


BACKLOG = 2048  # connections that a server accepts at a time (default of the HTTP server that engines use)
_arrival = attrgetter("arrival")


class FrontEnd:
    """Stamps a request with the moment at which the scheduler sees it and with what its answers take to the client.

    A prompt that arrives at ``t`` is there at ``t + before``, waits for the requests handled before it, and is visible
    ``each + before_per_token * prompt_tokens`` later; a token reaches the client ``after`` it left the engine.
    Times are whole picoseconds, so that a run ahead of the clock and one with it agree.
    """

    __slots__ = ("_free", "after", "before", "each", "per_token")

    def __init__(
        self, before: float = 0.0, each: float = 0.0, before_per_token: float = 0.0, after: float = 0.0
    ) -> None:
        """Seconds, as an engine profile names them under ``server``."""
        self.before, self.each, self.per_token, self.after = map(ticks, (before, each, before_per_token, after))
        self._free = 0  # when the server has done what came before

    @classmethod
    def of(cls, server: Mapping[str, float]) -> FrontEnd:
        """From the ``server`` section of an engine profile."""
        return cls(server["before"], server["each"], server["before_per_token"], server["after"])

    def constants(self) -> tuple[int, int]:
        """Times before a scheduler sees a request and after it let go of a token, without tokenising or queueing."""
        return self.before + self.each, self.after

    def receive(self, request: Request) -> Request:
        """The request, which has just arrived; requests come in order of time."""
        visible = request.arrival + self.before
        work = self.each + self.per_token * request.prompt_tokens
        if work:
            visible = self._free = max(visible, self._free) + work
        request.visible, request.after = visible, self.after
        return request

    def together(self, requests: list[Request]) -> list[Request]:
        """Requests that arrive at one instant.

        An event loop turns to each handler after every wait of another one, so none is done before all have had most
        of their turns: they share the server equally and, being alike, end together.
        """
        for request in requests:
            self.receive(request)
        for request in requests:
            request.visible = requests[-1].visible
        return requests

    def passed(self, requests: Iterator[Request]) -> Iterator[Request]:
        """All requests of an open loop on their way to the engines."""
        if not (self.each or self.per_token):
            return map(self.receive, requests)
        return self._groups(requests)

    def _groups(self, requests: Iterator[Request]) -> Iterator[Request]:
        for _, group in groupby(requests, key=_arrival):
            while batch := list(islice(group, BACKLOG)):
                yield from self.together(batch)
