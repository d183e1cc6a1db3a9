"""BERT: an encoder; embedding norm, positions and segments, a pooler, no output head."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Bidirectional attention; LayerNorms and biases everywhere."""
    hidden = config.hidden
    tables = (config.count("max_position_embeddings", 512) + config.count("type_vocab_size", 2)) * hidden
    extras = (("positions and segments", tables), ("embedding norm", 2 * hidden), ("pooler", hidden * hidden + hidden))
    attention = config.attention(qkv_bias=True, output_bias=True, causal=False)
    inner = config.dense(gated=False, bias=True)
    return config.plain(attention, inner, norm_bias=True, extras=extras, final_norm=False, head=False, positions=512)


PART = fields
