"""Switch Transformers: T5 with one expert per token in some layers of both stacks."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import FeedForward
from hwsim.model.families.t5 import stacks
from hwsim.model.parts.moe import Moe
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``encoder_sparse_step`` and ``decoder_sparse_step`` place the experts; 0 has none."""
    config.names(intermediate_size="d_ff")
    sparse = (
        config.count("num_sparse_encoder_layers", 3, least=0),
        config.count("num_sparse_decoder_layers", 3, least=0),
    )
    layers = config.count("num_layers"), config.count("num_decoder_layers", config.count("num_layers"))
    steps = [max(1, count // some) if some else count for count, some in zip(layers, sparse, strict=True)]
    dense = config.dense(gated=False)
    moe = Moe(config.count("num_experts"), 1, dense.intermediate_size, gated=False)

    def inner(decoder: bool, layer: int) -> FeedForward:
        step, some = steps[decoder], sparse[decoder]
        return moe if some and (step == 1 or layer % step == 1) else dense

    return stacks(config, inner)


PART = fields
