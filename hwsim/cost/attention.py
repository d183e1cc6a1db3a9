"""Time of attention kernels: decode streams the KV cache, prefill multiplies (query, key) pairs."""

from __future__ import annotations

from dataclasses import dataclass


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

    def fixed(self, items: int) -> float:
        """Seconds of a kernel on ``items`` that hold next to nothing."""
        return max(self.floor, self.base + self.per_item * items)

    def seconds_per_byte(self, items: int) -> float:
        """Seconds for each byte of KV read."""
        return (1 + self.half / items) / (self.bandwidth * self.efficiency)


@dataclass(frozen=True, slots=True)
class PrefillLaw:
    """``new`` tokens after ``past``: ``T = floor + (Tc**p + Tm**p)**(1/p)``.

    ``Tc = 4*h*e_head * (new*past + new*(new + extra)/2) / (peak * efficiency)``: ``extra`` keys per query stand for
    masked halves of tiles and the start of each query tile, so short prompts reach less.  ``Tm`` streams the KV of
    all ``past + new`` tokens.
    """

    efficiency: float
    memory_efficiency: float
    extra: float
    floor: float
    exponent: float
