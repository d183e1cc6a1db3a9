"""The API server before an engine: a request is handled and its prompt tokenised before a scheduler sees it.

Main simplification: one server process takes requests one after another for a constant time and one per token of the
prompt; hops between processes take a constant time whatever else goes on, and answers never queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.serving.request import Request


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

    def passed(self, requests: Iterator[Request]) -> Iterator[Request]:
        """All requests of an open loop on their way to the engines."""
        return map(self.receive, requests)
