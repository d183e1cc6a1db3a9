"""InfLLM (arXiv:2402.04617): old KV lies in host memory; a step sees the first tokens, chosen blocks and a window.

A block is found by the keys of a few ``representatives`` that stay on the GPU.  Blocks are chosen for each decode step
and for each ``span`` of a prompt, and copied to the GPU unless they are there: ``miss`` is a fact of the data.
"""

from __future__ import annotations

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Fetch, Heads
from hwsim.model.transform import Form


def infllm(
    mixer: Attention,
    hidden: int,
    element: float,
    *,
    initial: int,
    local: int,
    block: int,
    blocks: int,
    cached_blocks: int,
    representatives: int,
    span: int,
    miss: float,
) -> Form:
    """``initial`` first tokens, ``blocks`` of ``block`` tokens and ``local`` last ones; ``cached_blocks`` kept."""
    kept = initial + local
    heads = Heads(window=kept + blocks * block, held=kept + max(blocks, cached_blocks) * block)
    return Form(heads, fetch=Fetch(blocks, block, miss, span, representatives / block))


PART = infllm
