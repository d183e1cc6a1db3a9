"""A chunk of requests as columns: what every arrival process, length distribution and trace reader ends in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

CHUNK = 4096
COLUMNS = ("arrival", "input_tokens", "output_tokens", "max_tokens", "eos", "priority")


@dataclass(slots=True)
class Requests:
    """Requests in order of arrival, one numpy column per field.

    ``arrival``: ticks (ps), zeros in a closed loop.  ``output_tokens`` is the hidden true length, ``max_tokens`` the
    visible limit; ``eos`` marks requests that end before their limit.  ``prefix_ids`` name the leading blocks of
    ``prefix_block`` prompt tokens (equal ids up to a block: equal text up to its end).  ``stream`` is the number of
    the workload's stream that each came from (None: there is one).
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
    stream: np.ndarray | None = None
    prefix_blocks: np.ndarray | None = None  # of each request, while chunks of different blocks are being merged

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
            *(getattr(self, name)[start:end] for name in COLUMNS),
            prefix_ids=self.prefix_ids[start:end] if self.prefix_ids is not None else None,
            prefix_block=self.prefix_block,
            request_id=self.request_id[start:end] if self.request_id is not None else None,
            stream=self.stream[start:end] if self.stream is not None else None,
            prefix_blocks=self.prefix_blocks[start:end] if self.prefix_blocks is not None else None,
        )

    def taken(self, order: np.ndarray) -> Requests:
        """The rows in another order."""
        places = order.tolist()
        return Requests(
            *(getattr(self, name)[order] for name in COLUMNS),
            prefix_ids=[self.prefix_ids[i] for i in places] if self.prefix_ids is not None else None,
            prefix_block=self.prefix_block,
            request_id=[self.request_id[i] for i in places] if self.request_id is not None else None,
            stream=self.stream[order] if self.stream is not None else None,
            prefix_blocks=self.prefix_blocks[order] if self.prefix_blocks is not None else None,
        )

    def of_block(self, block: int) -> Requests:
        """The same requests, all with prefix ids of one block."""
        return replace(self, prefix_block=block, prefix_blocks=None)

    def of_stream(self, number: int) -> Requests:
        """The same requests, marked as those of a stream."""
        return replace(self, stream=np.full(len(self), number, dtype=np.int32))

    def chunks(self, size: int = CHUNK) -> Iterator[Requests]:
        """The same rows, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.part(start, start + size)


def joined(parts: Sequence[Requests]) -> Requests:
    """The rows of all parts, one part after the other; ``prefix_blocks`` keeps each one's block where they differ."""
    if len(parts) == 1:
        return parts[0]
    prefixed = any(part.prefix_ids is not None for part in parts)
    named = any(part.request_id is not None for part in parts)
    streamed = all(part.stream is not None for part in parts)
    blocks = {part.prefix_block for part in parts if part.prefix_ids is not None}
    mixed = len(blocks) > 1 or any(part.prefix_blocks is not None for part in parts)
    return Requests(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS),
        prefix_ids=[ids for part in parts for ids in part.prefix_ids or [()] * len(part)] if prefixed else None,
        prefix_block=max(blocks, default=0),
        request_id=[name for part in parts for name in part.request_id or [""] * len(part)] if named else None,
        stream=np.concatenate([part.stream for part in parts if part.stream is not None]) if streamed else None,
        prefix_blocks=np.concatenate([_blocks(part) for part in parts]) if mixed else None,
    )


def _blocks(part: Requests) -> np.ndarray:
    return part.prefix_blocks if part.prefix_blocks is not None else np.full(len(part), part.prefix_block)
