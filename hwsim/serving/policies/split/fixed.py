"""A split that never changes."""

from __future__ import annotations

from typing import Any

from hwsim.serving.side_by_side import Side


class Fixed:
    """``prefill`` of the SMs for prefill, the rest for decode."""

    def __init__(self, parameters: Any) -> None:
        self.prefill: float = parameters.prefill

    def share(self, now: float, side: Side) -> float:
        """The same whatever happens."""
        return self.prefill


PART = Fixed
