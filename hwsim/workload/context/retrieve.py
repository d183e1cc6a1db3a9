"""Passages of the conversation that fit the question are looked up and stand in the next prompt (memory by retrieval).

Simplification: the look-up takes no time; a history that fits stands in the prompt as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.units import parse


class Retrieve:
    """At most ``tokens`` of looked-up text, other passages each time."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.tokens = int(parse(parameters["tokens"], "tokens"))

    def carried(self, history: int) -> tuple[int, int]:
        """All of it while it fits, then passages that no cache knows in this order."""
        return (history, 0) if history <= self.tokens else (0, self.tokens)


PART = Retrieve
