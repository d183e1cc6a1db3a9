"""Qwen3.5, dense and MoE: three gated delta layers to one of gated attention."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block, Run
from hwsim.model.families.qwen3_next import alternating
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """Experts if the config has any; one layer predicts further tokens."""
    full, mixers = alternating(config)
    if config.get("num_experts"):
        width = config.count("shared_expert_intermediate_size")
        inner = config.moe(shared_intermediate_size=width, shared_gate=True)
    else:
        inner = config.dense()
    hidden, mtp = config.hidden, config.count("mtp_num_hidden_layers", 1, least=0)
    extra = mtp * (2 * hidden * hidden + 3 * hidden)
    blocks = [Block(mixer, inner) for mixer in mixers]
    return config.body(blocks, mtp=(Run(mtp, Block(full, inner)),) if mtp else (), mtp_extra=extra)


PART = fields
