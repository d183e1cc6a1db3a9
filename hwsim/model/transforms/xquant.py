"""XQuant (arXiv:2508.10395): the quantised input of a layer is cached, keys and values are made again in each step.

With as many KV heads as query heads one input of the hidden size stands for keys and values.  With grouped heads the
input is cached in two bases of the width of the KV heads (decomposed weights, from which the rest of the product is
made).  Either is whole on every rank.  FLOP per cached token and layer: ``2 * width * (keys + values)``.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads, Rebuild
from hwsim.model.transform import Form, packed


def xquant(mixer: Attention, hidden: int, element: float, *, bits: int, group: int, recent: int, overlap: str) -> Form:
    """``bits`` per value and 32 per ``group``; ``overlap: weights`` rebuilds while the layer's weights are read."""
    ratio = packed(bits, group, element)
    width, copies = hidden, 1
    if 2 * mixer.kv_heads * mixer.head_dim <= hidden:  # both bases together are no larger than the input
        width, copies = mixer.kv_heads * mixer.head_dim, 2
    return Form(Heads(recent=recent), rebuild=Rebuild(width, copies * width * ratio, overlap == "weights"))


PART = xquant
