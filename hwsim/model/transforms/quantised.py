"""Quantised KV: keys and values in a few bits, with the youngest tokens whole (KIVI, arXiv:2402.02750).

Simplification: unpacking costs no time beside the bytes, as in fused kernels.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads
from hwsim.model.transform import Form, packed


def quantised(mixer: Attention, hidden: int, element: float, *, bits: int, group: int, recent: int) -> Form:
    """``bits`` per value and 32 per ``group``; ``recent`` tokens in the cache's own format."""
    ratio = packed(bits, group, element)
    return Form(Heads(key=ratio, value=ratio, recent=recent))


PART = quantised
