"""A state of fixed size, written anew in every turn, stands for the conversation (MEM1's internal state)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.units import parse


class State:
    """``tokens`` of state from the second turn on, however long the history (never more than it)."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.tokens = int(parse(parameters["tokens"], "tokens"))

    def carried(self, history: int) -> tuple[int, int]:
        """Nothing stays as it was."""
        return 0, min(self.tokens, history)


PART = State
