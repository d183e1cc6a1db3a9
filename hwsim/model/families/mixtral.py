"""Mixtral and TurboSparse-Mixtral: a Mistral block whose feed-forward network is eight experts, two per token."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``intermediate_size`` is the width of one expert; ``predictor_rank`` that of neuron predictors, if any."""
    config.names(num_experts="num_local_experts")
    moe = config.moe(
        "intermediate_size",
        predictor_rank=config.count("predictor_rank", 0, least=0) if config.get("predictor_rank") else 0,
    )
    return config.plain(config.attention(window=config.window()), moe)


PART = fields
