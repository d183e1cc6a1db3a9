"""Mamba-2: only state-space layers with heads, one norm per layer, no feed-forward network."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.mamba2 import Mamba2
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """There is no limit of the context; what training saw stands in for it."""
    hidden, width = config.hidden, config.count("head_dim", 64)
    heads = config.count("num_heads", config.count("expand", 2) * hidden // width or 1)
    groups, kernel = config.count("n_groups", 1), config.count("conv_kernel", 4)
    mixer = Mamba2(heads, width, config.count("state_size", 128), groups, kernel)
    return config.body([Block(mixer, norms=1)] * config.layers, tie=True, positions=2048)


PART = fields
