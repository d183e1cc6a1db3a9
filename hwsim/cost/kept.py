"""Time of attention whose cache is kept in another form (:class:`hwsim.model.parts.kept.Kept`): one kernel per group.

A kernel reads fewer bytes per token (the laws of plain attention at that many bytes an element), or only a window of
tokens.  Where keys and values are made again, that is in the same kernel: it takes the longer of reading and
multiplying, and multiplying may hide behind the layer's weights, which are read meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.cost.line import FAR
from hwsim.cost.mixing import Chunk, Decode, Kind, Mixing, Rise, of_bodies
from hwsim.model.model import pairs
from hwsim.model.parts.kept import Heads, Kept


def kept_kinds(mixing: Mixing, layers: int, mixer: Kept) -> list[Kind]:
    """One kind of mixer for each group of heads."""
    return [_kind(mixing, layers, mixer, group) for group in mixer.groups]


def _kind(mixing: Mixing, layers: int, mixer: Kept, group: Heads) -> Kind:
    places = [mixing.windows.index(group.window)] if group.window in mixing.windows else []
    bound = bool(places)  # else no sequence outgrows the window
    recent = mixer.recent_elements(group, mixing.ranks)
    if recent and group.recent in mixing.windows:
        places.append(mixing.windows.index(group.recent))
    decode = _decode(mixing, mixer, group, bound, recent, group.recent in mixing.windows)
    return Kind(layers, tuple(places), decode, _prompt(mixing, mixer, group), mixing.efficiency.prefill.floor)


def _decode(
    mixing: Mixing, mixer: Kept, group: Heads, bound: bool, recent: float, apart: bool
) -> Callable[[int, int], Decode]:
    """Decode rows read what they see once; ``recent`` elements more of each of the youngest tokens."""
    ranks, kv = mixing.ranks, mixing.kv
    heads, kv_heads = group.share * (mixer.heads // ranks), group.share * -(-mixer.kv_heads // ranks)
    width = (mixer.head_dim + mixer.value) / 2
    each = mixer.step_elements(group, ranks)
    element = each * kv / (2 * kv_heads * width)
    law = mixing.efficiency.decode
    kernel = law.kernel(element)
    streamed = ranks / (kernel.bandwidth * kernel.memory)  # seconds per byte of all ranks
    flop = mixer.group_flop(group, ranks) * ranks
    index = mixer.index_elements_kept(ranks) * kv * ranks
    index_flop = 2.0 * mixer.heads * mixer.head_dim * mixer.fetch.scored if mixer.fetch is not None else 0.0
    found = Rise(index / ranks * streamed, 0.0, index_flop, index)
    again = _rebuilding(mixing, mixer)

    def decode(rows: int, context: int) -> Decode:
        seen = rows * group.window if bound and group.window is not None else context
        line = law.line(rows, seen, heads, kv_heads, int(width), element)
        whole = Rise(line.per_token, 0.0, flop, each * kv * ranks)
        more = Rise(recent * kv * streamed, 0.0, 0.0, recent * kv * ranks)
        if bound:
            low, limit, rise, windows = 0, FAR, found, (whole,)
        else:
            low, limit, rise, windows = line.low, line.limit, whole.plus(found), ()
        if recent and apart:
            windows = (*windows, more)
        elif recent:
            rise = rise.plus(more)
        fixed = Rise()
        if again is not None:
            low, limit, fixed, rise = again(rise, context, low, limit)
        return Decode(line.fixed, fixed, rise, windows, low, limit)

    return decode


def _rebuilding(mixing: Mixing, mixer: Kept) -> Callable[[Rise, int, int, int], tuple[int, int, Rise, Rise]] | None:
    """What making keys and values again does to a line: nothing up to where it no longer hides, then it is the time."""
    if mixer.rebuild is None:
        return None
    ranks = mixing.ranks
    work = mixer.rebuild_flop(ranks)
    rate = _rate(mixing)
    budget = _weights(mixing, mixer) if mixer.rebuild.hides else 0.0

    def again(rise: Rise, context: int, low: int, limit: int) -> tuple[int, int, Rise, Rise]:
        compute = work / rate
        flop = rise.flop + work * ranks
        end = int(budget / (compute - rise.memory)) if compute > rise.memory else FAR
        if context <= end:
            return low, min(limit, end), Rise(), rise._replace(flop=flop)
        return max(low, end + 1), limit, Rise(0.0, -budget, 0.0, 0.0), Rise(0.0, compute, flop, rise.size)

    return again


def _rate(mixing: Mixing) -> float:
    """FLOP/s of large products in the activations' own format."""
    dtype = mixing.shard.model.precision.plain.compute
    return mixing.device.peak(dtype) * mixing.efficiency.gemm.compute[dtype]


def _weights(mixing: Mixing, mixer: Kept) -> float:
    """Seconds in which a rank reads the weights of a layer, experts apart."""
    shard = mixing.shard
    block = next(block for _, block in shard.kinds if block.mixer == mixer)
    size = 0.0
    for product in block.products(shard.model.hidden_size, mixing.ranks):
        size += product.parameters * shard.model.precision.of(product.part, product.name).bytes
    kernel = mixing.efficiency.gemm.kernel(shard.model.precision.plain.compute)
    return size / (kernel.bandwidth * kernel.memory)


def _prompt(mixing: Mixing, mixer: Kept, group: Heads) -> Callable[[int, int], Chunk]:
    """A chunk attends to what its heads see; keys and values of earlier chunks are made again where they must be."""
    ranks = mixing.ranks
    heads, kv_heads = group.share * (mixer.heads // ranks), group.share * -(-mixer.kv_heads // ranks)
    window = group.window if group.window in mixing.windows else None
    pair = mixer.group_flop(group, ranks) * ranks
    token = mixer.step_elements(group, ranks) * mixing.kv * ranks
    body, peak, kv, width = mixing.efficiency.prefill.body, mixing.peak, mixing.kv, mixer.head_dim
    work, rate = mixer.rebuild_flop(ranks), _rate(mixing)

    def chunk(new: int, past: int) -> Chunk:
        seen = new + past if window is None else min(new + past, window + new)
        time = body(new, past, heads, kv_heads, width, peak, kv, window)
        found = of_bodies(time, pair * pairs(new, past, window) + past * work * ranks, token * seen)
        return found._replace(compute=found.compute + past * work / rate)

    return chunk if mixer.fetch is None else _in_spans(mixing, mixer, chunk)


def _in_spans(mixing: Mixing, mixer: Kept, chunk: Callable[[int, int], Chunk]) -> Callable[[int, int], Chunk]:
    """A prompt that looks its blocks up anew after every span of tokens: a kernel for each, and one for the scores."""
    fetch, rate, ranks = mixer.fetch, _rate(mixing), mixing.ranks
    assert fetch is not None
    score = 2.0 * (mixer.heads // ranks) * mixer.head_dim * fetch.scored
    floor = mixing.efficiency.prefill.floor

    def spans(new: int, past: int) -> Chunk:
        whole, rest = divmod(new, fetch.span)
        parts = [(chunk(fetch.span, past + new - fetch.span), whole)] if whole else []
        parts += [(chunk(rest, past), 1)] if rest else []
        compute, memory, flop, size = (sum([part[i] * times for part, times in parts]) for i in range(4))
        looked = score * pairs(new, past)
        compute += looked / rate + (whole + bool(rest) - 1) * floor
        return Chunk(compute, memory, flop + looked * ranks, size)

    return spans
