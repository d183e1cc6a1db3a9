"""The least TPOT and TTFT that the data sheet allows: closed forms at peak rates, no overhead."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.cost.efficiency.coefficients import Accelerator
from hwsim.model.sharding import Shard


class Bounds(NamedTuple):
    """Seconds that no engine can beat on this hardware, and the resource that sets them (``hbm`` or ``tensor``)."""

    tpot_s: float
    tpot_by: str
    ttft_s: float
    ttft_by: str


def bounds(shard: Shard, device: Accelerator, *, context: int = 1, rows: int = 1, prompt: int | None = None) -> Bounds:
    """Least time of a decode step of ``rows`` rows with ``context`` tokens in all, and of a ``prompt`` (default: the
    context) alone on an idle replica.

    A step reads the weights of a rank once and the KV of its context, and multiplies ``2*parameters`` FLOP per row;
    the slower of the two at peak is the bound.  Communication, launches and the host are left out, so it holds for
    any engine.
    """
    model = shard.model
    prompt = context if prompt is None else prompt
    peak, bandwidth = device.peak(model.weight_format.compute), device.hbm_bandwidth
    weights = shard.linear_bytes + shard.head_bytes
    head = 2 * shard.head.n * shard.head.k
    per_context = 4 * model.num_hidden_layers * shard.attention_heads * model.head_dim
    tpot = _slower(
        rows * (shard.flop_per_token_linear + head) + per_context * context,
        weights + context * shard.kv_bytes_per_token,
        peak,
        bandwidth,
    )
    attention = model.attention_flop(prompt, 0) / shard.tensor_parallel_size
    ttft = _slower(prompt * shard.flop_per_token_linear + head + attention, weights, peak, bandwidth)
    return Bounds(*tpot, *ttft)


def _slower(flop: float, size: float, peak: float, bandwidth: float) -> tuple[float, str]:
    compute, memory = flop / peak, size / bandwidth
    return (compute, "tensor") if compute >= memory else (memory, "hbm")
