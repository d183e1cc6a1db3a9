"""RWKV-6: linear attention with a decay that depends on the token, channel mixing, LayerNorms, untied table."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.rwkv6 import Rwkv6
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Heads are 64 wide whatever the config prints; the inner width is 3.5 x hidden, in steps of 32."""
    hidden = config.hidden
    wide = hidden >= 4096
    mixer = Rwkv6(hidden, config.count("head_size", 64), 64 if wide else 32, 128 if wide else 64)
    inner = config.dense(hidden * 7 // 2 // 32 * 32, gated=False, receptance=True)
    extras = (("embedding norm", 2 * hidden),)
    block = Block(mixer, inner, norm_bias=True)
    return config.body([block] * config.layers, positions=4096, extras=extras, final_norm_bias=True)


PART = fields
