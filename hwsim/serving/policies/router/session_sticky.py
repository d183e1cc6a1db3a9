"""Requests that begin with the same text stay on one replica; new texts take turns.

Simplification: a session is known by the names of its first prefix blocks, as a proxy that hashes the head of the
prompt does; requests without a known prefix take turns.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees


class SessionSticky:
    """The first ``blocks`` prefix blocks decide."""

    sees: ClassVar[Sees] = "nothing"
    age = 0

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.blocks: int = parameters.blocks
        self.turn = -1
        self.homes: dict[tuple[int, ...], int] = {}

    def route(self, request: Seen, loads: Loads) -> int:
        """The replica of this session, chosen in turn at its first request."""
        ids = request.prefix_ids
        home = self.homes.get(ids[: self.blocks]) if ids else None
        if home is None or home not in loads.open:  # a session moves when its replica takes no more requests
            home = self.turn = next((i for i in loads.open if i > self.turn), loads.open[0])
            if ids:
                self.homes[ids[: self.blocks]] = home
        return home


PART = SessionSticky
