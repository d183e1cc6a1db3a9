"""T5, mT5 and Flan-T5: an encoder and a decoder that also attends to its output; relative positions, RMSNorm."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block, FeedForward, runs
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``feed_forward_proj`` says whether the network is gated."""
    return stacks(config, lambda _, __: config.dense(gated="gated" in str(config.get("feed_forward_proj", "relu"))))


def stacks(config: Reader, inner: Any) -> dict[str, Any]:
    """Both stacks with ``inner(decoder, layer)`` as feed-forward networks, and a bias by distance once per stack."""
    config.names(hidden_size="d_model", num_hidden_layers="num_layers", num_attention_heads="num_heads")
    config.names(intermediate_size="d_ff", head_dim="d_kv")
    layers = config.layers
    decoder = layers if "num_hidden_layers" in config.changed else config.count("num_decoder_layers", layers)
    own = config.attention()
    seen = config.attention(causal=False)
    network: FeedForward
    encoder = []
    for i in range(layers):
        network = inner(False, i)
        encoder.append(Block(seen, network))
    blocks = []
    for i in range(decoder):
        network = inner(True, i)
        blocks.append(Block(own, network, norms=3, cross=seen))
    buckets = config.count("relative_attention_num_buckets", 32)
    extras = (("relative positions", 2 * buckets * own.heads),)
    positions = config.count("n_positions", 512)
    return config.body(blocks, tie=True, positions=positions, encoder=runs(encoder), extras=extras)


PART = fields
