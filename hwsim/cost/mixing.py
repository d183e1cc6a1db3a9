"""Time of the token mixers of one rank: attention of decode rows and prompts, latent attention, scans, by layer kind.

Seconds are summed over all layers of the rank; amounts (FLOP, bytes) over all tensor-parallel ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.gemm import Bodies
from hwsim.cost.line import FAR
from hwsim.errors import FitError
from hwsim.model.model import STATE_BYTES, pairs
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Kept
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.scan import Scan
from hwsim.model.sharding import Shard


class Rise(NamedTuple):
    """What a token of context adds: seconds bound by memory and by compute, FLOP, bytes."""

    memory: float = 0.0
    compute: float = 0.0
    flop: float = 0.0
    size: float = 0.0

    def plus(self, other: Rise) -> Rise:
        """Both together."""
        return Rise(*(a + b for a, b in zip(self, other, strict=True)))


class Decode(NamedTuple):
    """Decode rows through all mixers: fixed seconds by bound, and what contexts add (``windows`` by window)."""

    launch: float
    fixed: Rise
    context: Rise
    windows: tuple[Rise, ...]
    low: int = 0
    limit: int = FAR


class Chunk(NamedTuple):
    """One prompt chunk through all mixers: seconds by bound, FLOP, bytes."""

    compute: float
    memory: float
    flop: float
    size: float


class Kind(NamedTuple):
    """One kind of mixer: how many layers, and to which of the pricer's windows the rises of its rows belong."""

    layers: int
    places: tuple[int, ...]
    decode: Callable[[int, int], Decode]
    chunk: Callable[[int, int], Chunk]
    floor: float


class Mixing:
    """All mixers of a shard on a device; ``windows`` are those that can bind, others are no windows."""

    def __init__(
        self, shard: Shard, device: Accelerator, efficiency: Efficiency, peak: float, windows: tuple[int, ...]
    ):
        self.shard, self.device, self.efficiency, self.peak = shard, device, efficiency, peak
        self.windows = windows
        self.ranks = shard.tensor_parallel_size
        self.kv = shard.model.kv_format.bytes
        self.kinds = [kind for count, block in shard.kinds for kind in self._kinds(count, block.mixer)]
        if shard.model.encoder:
            self.kinds = [kind._replace(chunk=_no_chunk, floor=0.0) for kind in self.kinds] + self._two_stacks()
        self.floor = sum(kind.floor * kind.layers for kind in self.kinds)
        self.layers = sum(kind.layers for kind in self.kinds)

    # -- all kinds together --------------------------------------------------------------------------------------

    def rows(self, rows: int, context: int) -> Decode:
        """Decode rows with this context in all."""
        launch, fixed, rise, low, limit = 0.0, Rise(), Rise(), 0, FAR
        windows = [Rise()] * len(self.windows)
        for kind in self.kinds:
            one = kind.decode(rows, context)
            times = kind.layers
            launch += one.launch * times
            fixed = fixed.plus(_times(one.fixed, times))
            rise = rise.plus(_times(one.context, times))
            for place, each in zip(kind.places, one.windows, strict=False):
                windows[place] = windows[place].plus(_times(each, times))
            low, limit = max(low, one.low), min(limit, one.limit)
        return Decode(launch, fixed, rise, tuple(windows), low, limit)

    def chunk(self, new: int, past: int) -> Chunk:
        """A prompt chunk of ``new`` tokens after ``past``."""
        compute = memory = flop = size = 0.0
        for kind in self.kinds:
            one = kind.chunk(new, past)
            compute += one.compute * kind.layers
            memory += one.memory * kind.layers
            flop += one.flop * kind.layers
            size += one.size * kind.layers
        return Chunk(compute, memory, flop, size)

    def _kinds(self, layers: int, mixer: Attention | Mla | Scan | None) -> list[Kind]:
        if mixer is None:
            return []
        if isinstance(mixer, Kept):
            from hwsim.cost.kept import kept_kinds

            return kept_kinds(self, layers, mixer)
        return [self._kind(layers, mixer)]

    def _kind(self, layers: int, mixer: Attention | Mla | Scan) -> Kind:
        index = self.windows.index(mixer.window) if mixer.window in self.windows else -1
        law = self.efficiency
        if isinstance(mixer, Attention):
            return Kind(layers, (index,), self._attend(mixer, index), self._prompt(mixer, index), law.prefill.floor)
        if isinstance(mixer, Mla):
            floor = law.mla.prefill_floor
            return Kind(layers, (index,), self._absorbed(mixer, index), self._expanded(mixer, index), floor)
        return Kind(layers, (index,), self._recurrence(mixer), self._scan(mixer), 0.0)

    def _two_stacks(self) -> list[Kind]:
        """Prompts go through the encoder; a decode row reads its own tokens and the encoder's, once each.

        A token of context is either of them and both keep equal bytes, so cross-attention costs its kernel only.
        """
        found = []
        if self.shard.first:
            for count, block in self.shard.model.encoder:
                if isinstance(block.mixer, Attention):
                    floor = self.efficiency.prefill.floor
                    found.append(Kind(count, (-1,), _no_decode, self._prompt(block.mixer, -1), floor))
        for count, block in self.shard.kinds:
            if block.cross is not None:
                found.append(Kind(count, (-1,), self._kernel(block.cross), _no_chunk, 0.0))
        return found

    def _kernel(self, mixer: Attention) -> Callable[[int, int], Decode]:
        """The fixed part of decode attention."""
        heads, kv = mixer.heads // self.ranks, -(-mixer.kv_heads // self.ranks)

        def decode(rows: int, context: int) -> Decode:
            line = self.efficiency.decode.line(rows, context, heads, kv, mixer.head_dim, self.kv)
            return Decode(line.fixed, Rise(), Rise(), (), line.low, line.limit)

        return decode

    # -- softmax attention ---------------------------------------------------------------------------------------

    def _attend(self, mixer: Attention, index: int) -> Callable[[int, int], Decode]:
        """Decode rows read the keys and values they see once."""
        heads, kv = mixer.heads // self.ranks, -(-mixer.kv_heads // self.ranks)
        width = (mixer.head_dim + mixer.value) / 2
        flop = float(mixer.pair_flop(self.ranks) * self.ranks)
        size = mixer.kv_elements(self.ranks) * self.kv * self.ranks

        def decode(rows: int, context: int) -> Decode:
            if index >= 0:  # one piece for all sums: that of rows which fill their window
                context = rows * self.windows[index]
            line = self.efficiency.decode.line(rows, context, heads, kv, int(width), self.kv)
            rise = Rise(line.per_token, 0.0, flop, size)
            if index >= 0:
                return Decode(line.fixed, Rise(), Rise(), (rise,))
            return Decode(line.fixed, Rise(), rise, (), line.low, line.limit)

        return decode

    def _prompt(self, mixer: Attention, index: int) -> Callable[[int, int], Chunk]:
        heads, kv, width = mixer.heads // self.ranks, -(-mixer.kv_heads // self.ranks), mixer.head_dim
        window = self.windows[index] if index >= 0 else None
        pair = mixer.pair_flop(self.ranks) * self.ranks
        token = mixer.kv_elements(self.ranks) * self.kv * self.ranks
        body, peak, kv_bytes, causal = self.efficiency.prefill.body, self.peak, self.kv, mixer.causal

        def chunk(new: int, past: int) -> Chunk:
            time = body(new, past, heads, kv, width, peak, kv_bytes, window)
            met = pairs(new, past, window) if causal else new * (new + past)
            seen = new + past if window is None else min(new + past, window + new)
            return of_bodies(time, pair * met, token * seen)

        return chunk

    # -- latent attention ----------------------------------------------------------------------------------------

    def _absorbed(self, mixer: Mla, index: int) -> Callable[[int, int], Decode]:
        """Decode rows read each latent once for all heads; with an indexer only the chosen ones, and all its keys."""
        heads, law = mixer.heads // self.ranks, self.efficiency.mla
        flop = float(mixer.absorbed_pair_flop(self.ranks))
        size = mixer.kv_elements() * self.kv
        tensor = flop / self.peak > size / self.device.hbm_bandwidth
        index_size, index_flop = mixer.index_elements() * self.kv, float(mixer.index_flop())

        def decode(rows: int, context: int) -> Decode:
            if index >= 0:  # one piece for all sums: that of rows which fill their window
                context = rows * self.windows[index]
            latent, rope = mixer.kv_lora_rank, mixer.qk_rope_head_dim
            line = law.line(rows, context, heads, latent, rope, self.peak, self.kv)
            rise = self._rise(line.per_token, tensor, flop, size)
            if index < 0:
                return Decode(line.fixed, Rise(), rise, (), line.low, line.limit)
            memory = index_size / (self.device.hbm_bandwidth * law.decode_memory)
            compute = index_flop / (self.peak * law.decode_compute)
            scan = self._rise(max(memory, compute), compute > memory, index_flop, index_size)
            floor = law.decode_floor if index_flop else 0.0
            return Decode(line.fixed + floor, Rise(), scan, (rise,))

        return decode

    def _rise(self, seconds: float, tensor: bool, flop: float, size: float) -> Rise:
        """What a token adds, under its bound; amounts of all ranks, each of which does the same."""
        memory, compute = (0.0, seconds) if tensor else (seconds, 0.0)
        return Rise(memory, compute, flop * self.ranks, size * self.ranks)

    def _expanded(self, mixer: Mla, index: int) -> Callable[[int, int], Chunk]:
        """Prompts unpack keys and values of all tokens; beyond an indexer's choice they work on chosen latents."""
        heads, law, ranks = mixer.heads // self.ranks, self.efficiency.mla, self.ranks
        nope, rope, value = mixer.qk_nope_head_dim, mixer.qk_rope_head_dim, mixer.v_head_dim
        pair, expand, size = mixer.pair_flop(ranks), mixer.expand_flop(ranks), mixer.kv_elements() * self.kv
        top = self.windows[index] if index >= 0 else None

        def chunk(new: int, past: int) -> Chunk:
            if top is not None and new + past > top:
                return self._sparse(mixer, new, past, top)
            time = law.body(new, past, heads, nope, rope, value, self.peak, self.kv)
            unpack = past * expand / (self.peak * law.prefill_compute)
            flop = pair * pairs(new, past) + past * expand + pairs(new, past) * mixer.index_flop()
            index_time = pairs(new, past) * mixer.index_flop() / (self.peak * law.prefill_compute)
            found = of_bodies(time, flop * ranks, (new + past) * size * ranks)
            return found._replace(compute=found.compute + unpack + index_time)

        return chunk

    def _sparse(self, mixer: Mla, new: int, past: int, top: int) -> Chunk:
        law, ranks = self.efficiency.mla, self.ranks
        met, size = pairs(new, past, top), mixer.kv_elements() * self.kv
        flop = mixer.absorbed_pair_flop(ranks) * met
        compute = flop / (self.peak * law.decode_compute)
        memory = met * size / (self.device.hbm_bandwidth * law.decode_memory)
        scored = pairs(new, past) * mixer.index_flop()
        total = (compute**law.exponent + memory**law.exponent) ** (1 / law.exponent)
        found = of_bodies(Bodies(total, compute, memory), (flop + scored) * ranks, (met + new + past) * size * ranks)
        return found._replace(compute=found.compute + scored / (self.peak * law.prefill_compute))

    # -- scans ---------------------------------------------------------------------------------------------------

    def _scan_sizes(self, mixer: Scan) -> tuple[float, float, float]:
        """Bytes of a sequence's state, bytes in and out per token, and the peak of elementwise work."""
        narrow = self.shard.model.precision.plain.activation
        wide, tail = mixer.state(self.ranks)
        products = mixer.products(self.shard.model.hidden_size, self.ranks)
        moved = (products[0].n + products[0].n) * narrow
        try:
            vector = self.device.peak("fp32")
        except FitError:
            vector = self.peak
        return wide * STATE_BYTES + tail * narrow, moved, vector

    def _recurrence(self, mixer: Scan) -> Callable[[int, int], Decode]:
        """Each row reads its state, updates it and writes it back, whatever its context."""
        state, moved, vector = self._scan_sizes(mixer)
        flop = mixer.step_flop(self.ranks)

        def decode(rows: int, context: int) -> Decode:
            time = self.efficiency.scan.body(rows, flop, moved, rows * state, vector)
            variable = max(time.compute, time.memory)
            launch = time.total - variable
            tensor = time.compute > time.memory
            size = rows * (2 * state + moved)
            fixed = Rise(0.0 if tensor else variable, variable if tensor else 0.0, rows * flop, size)
            fixed = fixed._replace(flop=fixed.flop * self.ranks, size=fixed.size * self.ranks)
            return Decode(launch, fixed, Rise(), ())

        return decode

    def _scan(self, mixer: Scan) -> Callable[[int, int], Chunk]:
        """Prompts go through in chunks; the state is loaded and stored once per prompt chunk."""
        state, moved, vector = self._scan_sizes(mixer)
        flop = mixer.chunk_flop(self.ranks)
        peak = self.peak if mixer.tensor_cores else vector

        def chunk(new: int, past: int) -> Chunk:
            time = self.efficiency.scan.body(new, flop, moved, state, peak)
            return of_bodies(time, new * flop * self.ranks, (new * moved + 2 * state) * self.ranks)

        return chunk


def _no_decode(rows: int, context: int) -> Decode:
    return Decode(0.0, Rise(), Rise(), ())


def _no_chunk(new: int, past: int) -> Chunk:
    return Chunk(0.0, 0.0, 0.0, 0.0)


def _times(rise: Rise, times: int) -> Rise:
    return Rise(rise.memory * times, rise.compute * times, rise.flop * times, rise.size * times)


def of_bodies(time: Bodies, flop: float, size: float) -> Chunk:
    """A chunk's time under what bounds it."""
    if time.compute >= time.memory:
        return Chunk(time.total, 0.0, flop, size)
    return Chunk(0.0, time.total, flop, size)
