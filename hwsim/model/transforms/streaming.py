"""StreamingLLM (arXiv:2309.17453): every head sees the first tokens (sinks) and a window of the last ones."""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Heads
from hwsim.model.transform import Form


def streaming(mixer: Attention, hidden: int, element: float, *, window: int, sinks: int) -> Form:
    """``sinks`` first and ``window`` last tokens."""
    return Form(Heads(window=window + sinks))


PART = streaming
