"""Nemotron-H and Nemotron-3: single-mixer layers by a pattern of letters: Mamba-2, attention, network or experts."""

from __future__ import annotations

from typing import Any

from hwsim.errors import Problem
from hwsim.model.block import Block, FeedForward
from hwsim.model.parts.mamba2 import Mamba2
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``M`` Mamba-2, ``*`` attention, ``-`` network, ``E`` experts; one norm each."""
    pattern = str(config.get("hybrid_override_pattern") or config.get("layers_block_type") or "")
    if not pattern or set(pattern) - set("M*-E"):
        where = f"{config.where}.hybrid_override_pattern"
        config.problems.append(Problem("bad hybrid_override_pattern", where, pattern or "nothing", "letters M * - E"))
        pattern = "M"
    changed = config.get("num_hidden_layers") if "num_hidden_layers" in config.changed else None
    if isinstance(changed, int) and 0 < changed <= 4096:
        pattern = (pattern * (changed // len(pattern) + 1))[:changed]
    scan = Mamba2(
        *(config.count(name) for name in ("mamba_num_heads", "mamba_head_dim", "ssm_state_size", "n_groups")),
        conv_kernel=config.count("conv_kernel", 4),
        conv_bias=config.flag("use_conv_bias", True),
    )
    made = {"M": Block(scan, norms=1)}
    if "*" in pattern:
        made["*"] = Block(config.attention(), norms=1)
    if "-" in pattern:
        made["-"] = Block(feed_forward=config.dense(gated=False), norms=1)
    if "E" in pattern:
        made["E"] = Block(feed_forward=_experts(config), norms=1)
    return config.body([made[letter] for letter in pattern])


def _experts(config: Reader) -> FeedForward:
    """Squared-ReLU experts, perhaps in a narrower space, beside a shared one."""
    config.names(num_experts="n_routed_experts", num_shared_experts="n_shared_experts")
    shared = config.count("moe_shared_expert_intermediate_size", 0, least=0)
    latent = config.count("moe_latent_size") if config.get("moe_latent_size") else None
    more = {"gated": False, "shared_gated": False, "router_bias": True, "latent": latent}
    return config.moe(shared_intermediate_size=shared, **more)


PART = fields
