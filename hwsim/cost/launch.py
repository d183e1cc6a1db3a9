"""Starting kernels: fixed time on the device in a CUDA graph or eagerly, and the host's pace when it launches them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaunchLaw:
    """Seconds per kernel: ``graph`` and ``eager`` on the device, ``host`` to issue one from the host.

    A device that is fed eagerly cannot finish before the host has issued everything: its time is at least kernels
    times ``host``.
    """

    graph: float
    eager: float
    host: float


class CaptureSizes:
    """Batch sizes for which CUDA graphs exist; a batch runs padded to the next one, above the largest without graph."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = sorted(set(sizes))
        self.largest = self.sizes[-1] if self.sizes else 0

    def padded(self, tokens: int) -> int:
        """The captured size that ``tokens`` run at; above the largest the tokens themselves."""
        if tokens > self.largest or not self.sizes:
            return tokens
        return self.sizes[bisect_left(self.sizes, tokens)]


def vllm_capture_sizes(
    max_num_seqs: int, max_num_batched_tokens: int, *, largest: int = 512, fine: bool = False
) -> tuple[int, ...]:
    """vLLM's default sizes (0.33): 1, 2, 4, every 8 to 248, every 16 up to ``min(2*max_num_seqs, largest)``.

    ``max_num_seqs`` and ``max_num_batched_tokens`` are added when in range.  ``fine`` is version 0.11: every 8 all
    the way and nothing added.
    """
    top = min(2 * max_num_seqs, largest, max_num_batched_tokens)
    sizes = {1, 2, 4, *range(8, 256, 8), *range(256, top + 1, 8 if fine else 16)}
    if not fine:
        sizes |= {max_num_seqs, max_num_batched_tokens}
    return tuple(sorted(size for size in sizes if size <= top))
