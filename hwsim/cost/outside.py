"""What a run priced beyond the rows that its laws were fitted on: found afterwards, from the parts that were priced.

Simplification: each argument is compared with the least and the most of all fitted rows, not with their combinations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hwsim.model.parts.attention import Attention
from hwsim.model.parts.mla import Mla

if TYPE_CHECKING:
    from hwsim.cost.roofline import RooflinePricer

# Section of a law, number format as engines call it, argument, value.
Priced = tuple[str, str, str, float]


def outside(pricer: RooflinePricer) -> list[str]:
    """One line per law and argument that went beyond its rows, with the farthest value; none where rows are unknown."""
    efficiency = pricer.efficiency
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for section, part, argument, value in _priced(pricer):
        ranges = efficiency.ranges
        name = next((each for each in (f"{section}.{part}", f"{section}.bf16") if each in ranges), "")
        limits = ranges.get(name, {}).get(argument)
        if limits is None or limits[0] <= value <= limits[1]:
            continue
        limit = limits[0] if value < limits[0] else limits[1]
        known = worst.get((name, argument))
        if known is None or max(value / limit, limit / value) > max(known[0] / known[1], known[1] / known[0]):
            worst[name, argument] = (value, limit)
    return [_line(name, argument, *found, efficiency.sections) for (name, argument), found in sorted(worst.items())]


def _line(name: str, argument: str, value: float, limit: float, sections: Mapping[str, str]) -> str:
    side = "up to" if value > limit else "from"
    return (
        f"cost outside the calibrated range: {name} at {argument} {value:,.0f} "
        f"(rows of {sections.get(name, 'unknown')} {side} {limit:,.0f})"
    )


def _priced(pricer: RooflinePricer) -> Iterator[Priced]:
    """Every argument that a law was asked for."""
    parts, shard = pricer.parts, pricer.shard
    tokens = parts.tokens()
    if tokens:
        for gemm in shard.gemms:
            dtype = gemm.format.compute
            yield from (
                ("gemm", dtype, name, value) for name, value in (("m", max(tokens)), ("n", gemm.n), ("k", gemm.k))
            )
        for experts in shard.experts:
            dtype, met = parts.expert_format(experts), max(tokens) * shard.layout.data_parallel_size
            shape = (("tokens", met), ("hidden", experts.down.n), ("width", experts.down.k))
            yield from (("moe", dtype, name, value) for name, value in shape)
    cache = "fp8" if shard.model.kv_format.bytes <= 1 else "bf16"
    for _, block in shard.kinds:
        if isinstance(block.mixer, Attention):
            yield from _attention(pricer, block.mixer, cache)
        elif isinstance(block.mixer, Mla):
            yield from (("mla", f"prefill_{cache}", "tokens", new + past) for new, past in parts.chunks)
            yield from (("mla", f"decode_{cache}", name, value) for name, value in parts.extents())


def _attention(pricer: RooflinePricer, mixer: Attention, cache: str) -> Iterator[Priced]:
    ranks = pricer.shard.tensor_parallel_size
    shape = (("heads", mixer.heads // ranks), ("kv_heads", -(-mixer.kv_heads // ranks)), ("head_dim", mixer.head_dim))
    parts = pricer.parts
    if parts.chunks:
        for new, past in parts.chunks:
            yield "attention_prefill", cache, "tokens", new + past
        yield from (("attention_prefill", cache, name, value) for name, value in shape)
    extents = list(parts.extents())
    if extents:
        yield from (("attention_decode", cache, name, value) for name, value in (*extents, *shape))
