"""Retrieval heads (DuoAttention, arXiv:2410.10819): a share of the KV heads sees all tokens, the others a window.

Simplification: the heads of either kind are spread evenly over layers and ranks, so shares need not be whole heads.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads
from hwsim.model.transform import Form


def retrieval_heads(mixer: Attention, hidden: int, element: float, *, share: float, window: int, sinks: int) -> Form:
    """``share`` of the heads are for retrieval; the others see ``sinks`` first and ``window`` last tokens."""
    groups = (Heads(share), Heads(1 - share, window=window + sinks))
    return Form(*[heads for heads in groups if heads.share])


PART = retrieval_heads
