"""The API server before an engine: a request is handled and its prompt tokenised before a scheduler sees it.

Main simplification: handling takes a constant time whatever else goes on; only tokenisation is done one prompt after
another (one tokeniser thread or process, as vLLM, SGLang and TensorRT-LLM start with), and answers never queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.serving.request import Request


class FrontEnd:
    """Stamps a request with the moment at which the scheduler sees it and with what its answers take to the client.

    A prompt that arrives at ``t`` is handled until ``t + before``, waits for the prompts tokenised before it, and is
    visible ``before_per_token * prompt_tokens`` later; a token reaches the client ``after`` it left the engine.
    Times are whole picoseconds, so that a run ahead of the clock and one with it agree.
    """

    __slots__ = ("_free", "after", "before", "per_token")

    def __init__(self, before: float = 0.0, before_per_token: float = 0.0, after: float = 0.0) -> None:
        """Seconds, as an engine profile names them under ``server``."""
        self.before, self.per_token, self.after = ticks(before), ticks(before_per_token), ticks(after)
        self._free = 0  # when the tokeniser has done what came before

    @classmethod
    def of(cls, server: Mapping[str, float]) -> FrontEnd:
        """From the ``server`` section of an engine profile."""
        return cls(server["before"], server["before_per_token"], server["after"])

    def receive(self, request: Request) -> Request:
        """The request, which has just arrived; requests come in order of time."""
        begin = request.arrival + self.before
        if self.per_token:
            begin = self._free = max(begin, self._free) + self.per_token * request.prompt_tokens
        request.visible, request.after = begin, self.after
        return request

    def passed(self, requests: Iterator[Request]) -> Iterator[Request]:
        """All requests of an open loop on their way to the engines."""
        return map(self.receive, requests)
