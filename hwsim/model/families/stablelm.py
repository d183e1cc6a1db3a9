"""StableLM 2 and Zephyr 3B: a Llama block with LayerNorms; biases on query, key and value in some."""

from __future__ import annotations

from typing import Any

from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``use_parallel_residual`` has one norm per layer."""
    parallel = config.flag("use_parallel_residual")
    attention = config.attention(qkv_bias=config.flag("use_qkv_bias"))
    more = {"norms": 1 if parallel else 2, "norm_bias": True, "parallel": parallel, "final_norm_bias": True}
    return config.plain(attention, config.dense(), **more)


PART = fields
