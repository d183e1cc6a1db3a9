"""XQuant-CL (arXiv:2508.10395): layers keep what their inputs add to each other, in fewer bits than the inputs need.

In a step layer after layer reads its own part and the sum so far, which no layer keeps.  The first layers keep their
input as XQuant does.  With grouped heads keys and values are made from the whole input: FLOP per cached token and layer
``2 * 2 * hidden * (keys + values)`` (the way into the bases and out again), else ``2 * hidden * (keys + values)``.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads, Rebuild
from hwsim.model.transform import Form, packed
from hwsim.model.transforms.xquant import xquant

BY_LAYER = True
FIRST_BITS = 4


def xquant_cl(
    mixer: Attention,
    hidden: int,
    element: float,
    *,
    bits: int,
    group: int,
    recent: int,
    first_layers: int,
    accumulator_bits: int,
    overlap: str,
    layer: int,
) -> Form:
    """``bits`` per value, 4 in the ``first_layers``; the sum of all layers before in ``accumulator_bits``."""
    if layer < first_layers:
        return xquant(mixer, hidden, element, bits=FIRST_BITS, group=group, recent=recent, overlap=overlap)
    grouped = 2 * mixer.kv_heads * mixer.head_dim <= hidden
    kept = 2 * mixer.kv_heads * mixer.head_dim if grouped else hidden
    width = 2 * hidden if grouped else hidden
    passing = hidden * packed(accumulator_bits, group, element)
    rebuild = Rebuild(width, kept * packed(bits, group, element), overlap == "weights", passing)
    return Form(Heads(recent=recent), rebuild=rebuild)


PART = xquant_cl
