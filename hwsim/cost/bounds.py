"""The least TPOT and TTFT that the data sheet allows: closed forms at peak rates, no overhead."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.cost.efficiency.coefficients import Accelerator
from hwsim.errors import FitError
from hwsim.model.model import pairs
from hwsim.model.parts.kept import Kept
from hwsim.model.parts.mla import Mla
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

    A step reads the weights of a rank once (of experts those that its tokens reach on average when routed evenly),
    the KV that its rows can see and twice the states, and multiplies ``2*active parameters`` FLOP per row; the slower
    of the two at peak is the bound.  Pipeline stages follow each other, so a pass is their sum.  Communication,
    launches and the host are left out, so it holds for any engine.
    """
    prompt = context if prompt is None else prompt
    bandwidth = device.hbm_bandwidth
    flop = size = prompt_flop = prompt_size = 0.0
    for stage in shard.stages():
        ends = stage.last and shard.model.head
        head = 2.0 * stage.head.n * stage.head.k if ends else 0.0
        head_bytes = stage.head_bytes if ends else 0.0
        flop += rows * (stage.flop_per_token_linear + head) + _decode_flop(stage, rows, context)
        size += stage.active_bytes(rows) + head_bytes + _cache_bytes(stage, rows, context)
        prompt_flop += prompt * stage.flop_per_token_linear + head + _prompt_flop(stage, prompt)
        prompt_size += stage.active_bytes(1) + head_bytes
    peak = _peak(shard, device)
    tpot = _slower(flop, size, peak, bandwidth)
    ttft = _slower(prompt_flop, prompt_size, peak, bandwidth)
    return Bounds(*tpot, *ttft)


def _peak(shard: Shard, device: Accelerator) -> float:
    """The fastest format that any part of the model computes in."""
    formats = [gemm.format.compute for gemm in shard.gemms] + [each.format.compute for each in shard.experts]
    known = []
    for dtype in dict.fromkeys([*formats, shard.model.precision.plain.compute]):
        try:
            known.append(device.peak(dtype))
        except FitError:
            continue
    return max(known) if known else device.peak(shard.model.precision.plain.compute)


def _seen(rows: int, context: int, window: int | None) -> int:
    return context if window is None else min(context, rows * window)


def _decode_flop(shard: Shard, rows: int, context: int) -> float:
    ranks, total = shard.tensor_parallel_size, 0.0
    for count, block in shard.kinds:
        mixer = block.mixer
        if mixer is None:
            continue
        if isinstance(mixer, Kept):
            total += count * rows * mixer.step_flop(context / rows, ranks)
            continue
        pair = mixer.absorbed_pair_flop(ranks) if isinstance(mixer, Mla) else mixer.pair_flop(ranks)
        total += count * pair * _seen(rows, context, mixer.window)
    return total


def _cache_bytes(shard: Shard, rows: int, context: int) -> float:
    """Keys and values that rows of equal length see, and their states read and written."""
    total, width = 0.0, shard.model.kv_format.bytes
    for count, block in shard.kinds:
        if isinstance(block.mixer, Kept):
            total += count * rows * block.mixer.read_elements(context / rows, shard.tensor_parallel_size) * width
        elif block.mixer is not None:
            seen = _seen(rows, context, block.mixer.window)
            total += count * block.mixer.kv_elements(shard.tensor_parallel_size) * width * seen
    return total + 2 * rows * shard.state_bytes


def _prompt_flop(shard: Shard, prompt: int) -> float:
    """Attention of a whole prompt; scans are left out, as faster forms may exist."""
    ranks = shard.tensor_parallel_size
    total = 0.0
    for count, block in shard.kinds:
        mixer = block.mixer
        if isinstance(mixer, Kept):
            total += count * sum([mixer.group_flop(g, ranks) * pairs(prompt, 0, g.window) for g in mixer.groups])
        elif mixer is not None:
            total += count * mixer.pair_flop(ranks) * pairs(prompt, 0, mixer.window)
    return total


def _slower(flop: float, size: float, peak: float, bandwidth: float) -> tuple[float, str]:
    compute, memory = flop / peak, size / bandwidth
    return (compute, "tensor") if compute >= memory else (memory, "hbm")
