"""The last tokens of a conversation stand in the next prompt; what is older is dropped.

Once something is dropped the rest moves forward, so nothing after the system prompt is a cached prefix any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.units import parse


class Window:
    """At most ``tokens`` of history."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.tokens = int(parse(parameters["tokens"], "tokens"))

    def carried(self, history: int) -> tuple[int, int]:
        """All of it while it fits, then the last ``tokens``, moved."""
        return (history, 0) if history <= self.tokens else (0, self.tokens)


PART = Window
