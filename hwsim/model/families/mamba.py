"""Mamba-1 and Falcon-Mamba: only selective scans, one norm per layer, no feed-forward network."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.mamba import Mamba
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """There is no limit of the context; what training saw stands in for it."""
    hidden = config.hidden
    inner = config.count("intermediate_size", config.count("expand", 2) * hidden)
    rank = config.get("time_step_rank", "auto")
    rank = -(-hidden // 16) if rank == "auto" else config.count("time_step_rank")
    kernel = config.count("conv_kernel", 4)
    mixer = Mamba(inner, config.count("state_size", 16), kernel, rank, conv_bias=config.flag("use_conv_bias", True))
    return config.body([Block(mixer, norms=1)] * config.layers, tie=True, positions=2048)


PART = fields
