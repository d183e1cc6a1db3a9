"""The whole conversation stands in every prompt, as chat templates do it."""

from __future__ import annotations

from typing import Any


class Keep:
    """Everything, word for word."""

    def __init__(self, parameters: Any) -> None:
        pass

    def carried(self, history: int) -> tuple[int, int]:
        """All of it."""
        return history, 0


PART = Keep
