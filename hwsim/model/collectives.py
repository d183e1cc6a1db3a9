"""The collective operations of one pass: who meets whom, how often, with how many bytes."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.model.parts.moe import Moe
from hwsim.model.sharding import Shard


class Collective(NamedTuple):
    """``times`` operations over ``ranks`` with a message of ``size`` bytes each.

    ``operation``: all_reduce, all_gather, reduce_scatter (``size``: the whole message), all_to_all (what one rank
    sends in all) or p2p.  ``name`` says what for; ``choices``: experts that each token of an all_to_all goes to.
    """

    name: str
    operation: str
    ranks: int
    size: float
    times: int
    choices: int = 1

    @property
    def link_bytes(self) -> float:
        """Bytes that one rank sends: ``2(n-1)/n`` of an all-reduce, ``(n-1)/n`` of the others, all of a p2p."""
        if self.operation == "p2p":
            return self.size * self.times
        passes = 2 if self.operation == "all_reduce" else 1
        return passes * (self.ranks - 1) / self.ranks * self.size * self.times


def block_collectives(shard: Shard, tokens: int) -> tuple[Collective, ...]:
    """Operations of the layers of one stage (and the embedding) for ``tokens`` tokens of one request group."""
    found = list(_tensor(shard, tokens))
    if shard.layout.data_parallel_size > 1:
        found += _experts(shard, tokens)
    layout = shard.layout
    if layout.pipeline_parallel_size > 1 and not shard.last:
        message = tokens * shard.model.hidden_size * shard.model.precision.plain.activation
        found.append(Collective("next stage", "p2p", 2, message / layout.tensor_parallel_size, 1))
    return tuple(found)


def head_collectives(shard: Shard, rows: int) -> tuple[Collective, ...]:
    """Logits of the sampled rows are gathered from the ranks that hold parts of the vocabulary."""
    ranks = shard.tensor_parallel_size
    if ranks == 1 or not shard.last or not rows:
        return ()
    return (Collective("logits", "all_gather", ranks, rows * shard.model.vocab_size * _activation(shard), 1),)


def _activation(shard: Shard) -> int:
    return shard.model.precision.plain.activation


def _tensor(shard: Shard, tokens: int) -> tuple[Collective, ...]:
    """Sums after row-split products: one per part of a block, and the embedding's."""
    ranks = shard.tensor_parallel_size
    if ranks == 1:
        return ()
    apart = shard.layout.data_parallel_size > 1  # experts then exchange tokens on their own
    count = sum(n * (b.meetings - (apart and isinstance(b.feed_forward, Moe))) for n, b in shard.kinds)
    count += shard.first
    message = tokens * shard.model.hidden_size * _activation(shard)
    if shard.layout.sequence_parallel:
        return (
            Collective("sum of parts", "reduce_scatter", ranks, message, count),
            Collective("all tokens", "all_gather", ranks, message, count),
        )
    return (Collective("sum of parts", "all_reduce", ranks, message, count),)


def _experts(shard: Shard, tokens: int) -> tuple[Collective, ...]:
    """Data-parallel attention meets in the experts: tokens go to the ranks of their experts and come back."""
    layout, model = shard.layout, shard.model
    group, found = layout.tensor_parallel_size * layout.data_parallel_size, []
    for each in shard.experts:
        width = each.moe.latent or model.hidden_size
        if layout.expert_parallel_size == 1:  # every rank works on all tokens
            whole = tokens * layout.data_parallel_size * width * _activation(shard)
            found.append(Collective("tokens to experts", "all_gather", group, whole, each.times))
            found.append(Collective("sum of experts", "reduce_scatter", group, whole, each.times))
            continue
        ranks = layout.expert_parallel_size
        own = tokens / layout.tensor_parallel_size  # each tensor rank sends its share of the tokens
        reached = ranks * (1 - (1 - 1 / ranks) ** each.moe.top_k)  # distinct ranks a token goes to, once each
        sent = own * reached * width
        out = 1 if each.format.compute == "fp8" else _activation(shard)
        found.append(Collective("dispatch", "all_to_all", ranks, sent * out, each.times, each.moe.top_k))
        found.append(Collective("combine", "all_to_all", ranks, sent * _activation(shard), each.times, each.moe.top_k))
    return tuple(found)
