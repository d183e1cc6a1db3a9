"""OPT: learned positions, LayerNorms, biases, ReLU, tied table; the 350M projects from a narrower table."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Positions have two rows more than the context."""
    config.names(intermediate_size="ffn_dim")
    hidden, table = config.hidden, config.count("word_embed_proj_dim", config.hidden)
    bias = config.flag("enable_bias", True)
    extras = [("positions", (config.count("max_position_embeddings") + 2) * hidden)]
    before = config.flag("do_layer_norm_before", True)
    if table != hidden:
        extras.append(("projections", 2 * table * hidden))
    more = {"embedding_size": table, "extras": tuple(extras), "final_norm_bias": True, "final_norm": before}
    attention = config.attention(qkv_bias=bias, output_bias=bias)
    return config.plain(attention, config.dense(gated=False, bias=bias), tie=True, norm_bias=True, **more)


PART = fields
