"""RWKV-4: time mixing and channel mixing, LayerNorms, a norm on the embedding, untied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.rwkv4 import Rwkv4
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """State instead of cache; ``context_length`` is what training saw."""
    config.names(max_position_embeddings="context_length")
    hidden = config.hidden
    width = config.count("attention_hidden_size", hidden)
    inner = config.dense(4 * hidden, gated=False, receptance=True)
    block = Block(Rwkv4(width), inner, norm_bias=True)
    extras = (("embedding norm", 2 * hidden),)
    return config.body([block] * config.layers, positions=1024, extras=extras, final_norm_bias=True)


PART = fields
