"""ThinK (arXiv:2407.21018): key channels that queries hardly look at are dropped from old tokens, values stay.

Simplification: which channels those are is found at no cost at the end of a prompt.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads
from hwsim.model.transform import Form, packed


def think(
    mixer: Attention, hidden: int, element: float, *, dropped: float, recent: int, bits: int | None, group: int
) -> Form:
    """The share ``dropped`` of key channels is gone but for ``recent`` tokens; ``bits``: and the rest is quantised."""
    ratio = 1.0 if bits is None else packed(bits, group, element)
    return Form(Heads(key=(1 - dropped) * ratio, value=ratio, channels=1 - dropped, recent=recent))


PART = think
