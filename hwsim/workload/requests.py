"""A chunk of requests as columns: what every arrival process, length distribution and trace reader ends in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CHUNK = 4096


@dataclass(slots=True)
class Requests:
    """Requests in order of arrival, one numpy column per field.

    ``arrival``: ticks (ps), zeros in a closed loop.  ``output_tokens`` is the hidden true length, ``max_tokens`` the
    visible limit; ``eos`` marks requests that end before their limit.  ``prefix_ids`` name the leading blocks of
    ``prefix_block`` prompt tokens (equal ids up to a block: equal text up to its end).
    """

    arrival: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray
    max_tokens: np.ndarray
    eos: np.ndarray
    priority: np.ndarray
    prefix_ids: list[tuple[int, ...]] | None = None
    prefix_block: int = 0
    request_id: list[str] | None = None

    def __len__(self) -> int:
        return len(self.arrival)

    @classmethod
    def of(
        cls,
        arrival: np.ndarray,
        input_tokens: np.ndarray,
        output_tokens: np.ndarray,
        *,
        max_tokens: np.ndarray | int | None = None,
        eos: np.ndarray | None = None,
        priority: np.ndarray | int = 0,
        prefix_ids: list[tuple[int, ...]] | None = None,
        prefix_block: int = 0,
        request_id: list[str] | None = None,
    ) -> Requests:
        """Columns with what is left out filled in: no limit beyond the true length, priority 0, no prefix."""
        count = len(arrival)
        limit = np.array(output_tokens if max_tokens is None else np.broadcast_to(max_tokens, count), dtype=np.int64)
        output = np.minimum(np.asarray(output_tokens, dtype=np.int64), limit)
        return cls(
            np.asarray(arrival, dtype=np.int64),
            np.asarray(input_tokens, dtype=np.int64),
            output,
            limit,
            (output < limit) if eos is None else np.asarray(eos, dtype=bool),
            np.array(np.broadcast_to(priority, count), dtype=np.int64),
            prefix_ids,
            prefix_block,
            request_id,
        )

    def part(self, start: int, end: int) -> Requests:
        """Rows ``start`` to ``end``."""
        return Requests(
            self.arrival[start:end],
            self.input_tokens[start:end],
            self.output_tokens[start:end],
            self.max_tokens[start:end],
            self.eos[start:end],
            self.priority[start:end],
            self.prefix_ids[start:end] if self.prefix_ids is not None else None,
            self.prefix_block,
            self.request_id[start:end] if self.request_id is not None else None,
        )

    def chunks(self, size: int = CHUNK) -> Iterator[Requests]:
        """The same rows, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.part(start, start + size)
