"""Time of decode attention: each row reads the keys and values of its context once."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.line import Line


@dataclass(frozen=True, slots=True)
class DecodeLaw:
    """One new token per row: ``T = fixed(items) + bytes * (1 + half/items) / (bandwidth * e)``, affine in context.

    An *item* is a KV head of a row, what a thread block works on.  ``fixed = max(floor, base + per_item * items)``
    seconds, launch in a graph included.  ``half``: with few items the busiest block sets the end, as if half an item
    more had to be read.  Simplification: all rows as long as the mean (only their sum is known).
    """

    bandwidth: float
    efficiency: float
    half: float
    floor: float
    base: float
    per_item: float

    def line(self, rows: int, context: int, heads: int, kv_heads: int, head_dim: int, kv_element_bytes: float) -> Line:
        """Seconds of one layer for ``rows`` rows that hold ``context`` tokens together, affine around it."""
        items = rows * kv_heads
        token_bytes = 2 * kv_heads * head_dim * kv_element_bytes
        return Line(self.fixed(items), token_bytes * self.seconds_per_byte(items))

    def fixed(self, items: int) -> float:
        """Seconds of a kernel on ``items`` that hold next to nothing."""
        return max(self.floor, self.base + self.per_item * items)

    def seconds_per_byte(self, items: int) -> float:
        """Seconds for each byte of KV read."""
        return (1 + self.half / items) / (self.bandwidth * self.efficiency)
