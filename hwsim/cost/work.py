"""The parts of a pass that depend on a count only: blocks by tokens, head by sampled rows.

Seconds and amounts of one rank; all ranks work alike and at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.gemm import Bodies
from hwsim.errors import FitError, HwsimError
from hwsim.model.block import Block
from hwsim.model.collectives import Collective, block_collectives, head_collectives
from hwsim.model.gemm import Experts, Gemm
from hwsim.model.numerics import Format
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.dense import Dense
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.moe import Moe
from hwsim.model.sharding import Shard

# Kernels after the head: cast of the logits to 32 bit, maximum over the vocabulary, and a few on single numbers.
SAMPLING_KERNELS = 4
LOGIT_BYTES = 2 + 4 + 4  # read 16 bit, write 32 bit, read for the maximum
# Formats that a device without units for them unpacks to 16 bit inside the kernel (as Marlin kernels do).
UNPACKED = {"fp4": "bf16", "fp8": "bf16", "fp8_block": "bf16"}


@dataclass(slots=True)
class Work:
    """Device seconds by what bounds them, and FLOP and bytes taken."""

    hbm: float = 0.0
    tensor: float = 0.0
    nvlink: float = 0.0
    launch: float = 0.0
    flop: float = 0.0
    hbm_bytes: float = 0.0
    link_bytes: float = 0.0
    kernels: int = 0

    def add(self, body: Bodies, times: int, launch: float) -> None:
        """``times`` kernels that compute or stream, whichever lasts longer naming the bound."""
        if body.compute >= body.memory:
            self.tensor += body.total * times
        else:
            self.hbm += body.total * times
        self.launch += launch * times
        self.kernels += times


class PassWork:
    """What one rank of a model does on one device under one stack.

    ``expert_load``: token copies of the busiest expert rank over the mean (None: even).  ``gpus_per_node`` says when
    a collective leaves the node.  ``fused`` names what the engine does inside other kernels: ``rounding`` of
    activations to FP8 with static scales, ``norms`` after an all-reduce.
    """

    def __init__(
        self,
        shard: Shard,
        device: Accelerator,
        efficiency: Efficiency,
        *,
        expert_load: float | None = None,
        gpus_per_node: int | None = None,
        fused: Collection[str] = (),
    ) -> None:
        self.rounded = ("fp8",) if "rounding" in fused else ()
        self.norms_apart = "norms" not in fused or shard.tensor_parallel_size == 1
        self.shard, self.device, self.efficiency = shard, device, efficiency
        self.expert_load, self.gpus_per_node = expert_load, gpus_per_node
        self.activation = shard.model.precision.plain.activation
        formats = [gemm.format for gemm in (*shard.gemms, *shard.encoder_gemms)]
        formats += [each.format for each in shard.experts]
        self._peaks = {form.compute: self._computes(form.compute) for form in formats}
        self.head_format = self._plain(shard.head.format)
        self.head_dtype, self.head_peak = self._computes(self.head_format.compute)

    def _plain(self, form: Format) -> Format:
        """The head computes in 16 bit unless the model is wider."""
        return form if form.compute in ("bf16", "fp16", "fp32") else form._replace(compute="bf16")

    def _computes(self, dtype: str) -> tuple[str, float]:
        """The number format that multiplies on this device, with its peak: one with a peak and an efficiency."""
        try:
            peak = self.device.peak(dtype)
        except HwsimError:
            if dtype not in UNPACKED:
                raise
            dtype = UNPACKED[dtype]
            peak = self.device.peak(dtype)
        known = self.efficiency.gemm.compute
        if dtype not in known:
            raise FitError.of(
                f"no efficiency is known for {dtype} on {self.device.name}",
                where="model.dtype",
                got=self.shard.model.dtype,
                expected="a format that computes in " + ", ".join(known),
            )
        return dtype, peak

    # -- the parts -----------------------------------------------------------------------------------------------

    def blocks(self, tokens: int, launch: float) -> Work:
        """Embedding, all blocks without attention and scans, and the final norm, for ``tokens`` tokens."""
        work = Work()
        shard, model = self.shard, self.shard.model
        for gemm in shard.gemms:
            self._gemm(work, gemm, tokens, launch)
        for experts in shard.experts:
            self._experts(work, experts, tokens, launch)
        row = tokens * self.activation
        for count, block in shard.kinds:
            self._small(work, block, count, tokens, launch)
        if shard.first:
            self.stream(work, 2 * model.hidden_size * row, 1, launch)  # embedding rows
        if shard.last:
            self.stream(work, 4 * model.hidden_size * row, 1, launch)
        self._meet(work, block_collectives(shard, tokens), launch)
        return work

    def encoder(self, tokens: int, launch: float) -> Work:
        """The encoder's blocks without attention, and what the decoder keeps of its output."""
        work = Work()
        for gemm in self.shard.encoder_gemms:
            self._gemm(work, gemm, tokens, launch)
        for count, block in self.shard.model.encoder:
            self._small(work, block, count, tokens, launch)
        return work

    def head(self, rows: int, launch: float) -> Work:
        """Output head and greedy sampling for ``rows`` rows, with the logits gathered from all ranks."""
        work = Work()
        if not rows or not self.shard.last or not self.shard.model.head:
            return work
        shard, model = self.shard, self.shard.model
        head, activation = shard.head, self.activation
        law = self.efficiency.gemm
        body = law.body(rows, head.n, head.k, self.head_peak, self.head_dtype, shard.head_bytes, activation)
        work.add(body, 1, launch)
        work.flop += 2 * rows * head.n * head.k
        work.hbm_bytes += shard.head_bytes + rows * (head.n + head.k) * activation
        self._meet(work, head_collectives(shard, rows), self.efficiency.launch.graph)
        self.stream(work, rows * model.vocab_size * LOGIT_BYTES / SAMPLING_KERNELS, SAMPLING_KERNELS, launch)
        return work

    # -- kernels -------------------------------------------------------------------------------------------------

    def _gemm(self, work: Work, gemm: Gemm, tokens: int, launch: float) -> None:
        weights, activation = gemm.weight_bytes, self.activation
        dtype, peak = self._peaks[gemm.format.compute]
        law, rounded = self.efficiency.gemm, dtype in self.rounded
        body = law.body(tokens, gemm.n, gemm.k, peak, dtype, weights, activation, rounded=rounded)
        work.add(body, gemm.times, launch)
        work.flop += 2.0 * tokens * gemm.n * gemm.k * gemm.times
        work.hbm_bytes += (weights + activation * tokens * (gemm.n + gemm.k)) * gemm.times

    def _experts(self, work: Work, experts: Experts, tokens: int, launch: float) -> None:
        """Routed experts of the busiest rank; all ranks' tokens meet where experts are shared between them."""
        moe, layout = experts.moe, self.shard.layout
        ranks, met = layout.expert_parallel_size, tokens * layout.data_parallel_size
        dtype, peak = self._expert_kernel(experts.format)
        inner, outer = experts.down.k, experts.down.n
        weights = experts.up.parameters + experts.down.parameters
        width = weights // (3 * outer)  # the law counts three matrices
        element = experts.matrix_bytes / weights
        body = self.efficiency.moe.body(
            met,
            moe.experts,
            moe.top_k,
            outer,
            width,
            element,
            self.activation,
            peak,
            dtype,
            ranks,
            self.expert_load,
            dispatched=ranks > 1 and layout.data_parallel_size > 1,  # as the collectives of these layouts say
        )
        work.add(body, experts.times, launch)
        copies = met * moe.top_k / ranks
        active = moe.active(met) / ranks
        moved = active * experts.matrix_bytes + copies * (2 * outer + 3 * inner) * self.activation
        work.flop += 2.0 * copies * weights * experts.times
        work.hbm_bytes += moved * experts.times
        self.stream(work, tokens * (moe.experts + 2 * moe.top_k) * 4, experts.times, launch)  # scores and choice
        self.stream(work, (moe.top_k + 1) * outer * tokens * self.activation, experts.times, launch)  # weighted sum

    def _expert_kernel(self, form: Format) -> tuple[str, float]:
        """The law of fused experts in this format, and its peak: devices with 4-bit units take MXFP4 weights as they
        are, with activations rounded to MXFP8; others unpack them to 16 bit."""
        if form.name != "mxfp4":
            return self._peaks[form.compute]
        try:
            self.device.peak("fp4")
        except HwsimError:
            return "mxfp4", self._peaks[form.compute][1]
        return "mxfp4_mxfp8", self.device.peak("fp8")

    def expert_law(self, form: Format) -> str:
        """The name of that law among the coefficients."""
        dtype, _ = self._expert_kernel(form)
        return self.efficiency.moe.name(dtype, form.bytes)

    def _small(self, work: Work, block: Block, count: int, tokens: int, launch: float) -> None:
        """Kernels that touch each byte once: norms with residual adds, rotary embedding, cache writes, activations."""
        shard, model, ranks = self.shard, self.shard.model, self.shard.tensor_parallel_size
        row, hidden = tokens * self.activation, model.hidden_size
        share = row / ranks if shard.layout.sequence_parallel else row
        if self.norms_apart:  # read residual and branch, write both
            self.stream(work, 4 * hidden * share, block.norms * count, launch)
        mixer = block.mixer
        cached = model.kv_format.bytes / self.activation
        if isinstance(mixer, Attention):
            query, kv = mixer.heads // ranks * mixer.head_dim, -(-mixer.kv_heads // ranks) * mixer.head_dim
            self.stream(work, 2 * (query + kv) * row, count * (2 if mixer.qk_norm else 1), launch)
            self.stream(work, 2 * kv * (1 + cached) * row, count, launch)
            if mixer.gate:
                self.stream(work, 3 * query * row, count, launch)
        elif isinstance(mixer, Mla):
            latent = mixer.kv_lora_rank + mixer.qk_rope_head_dim
            rope = mixer.heads // ranks * mixer.qk_rope_head_dim + mixer.qk_rope_head_dim
            self.stream(work, 2 * ((mixer.q_lora_rank or 0) + latent) * row, count, launch)  # norms of the latents
            self.stream(work, 2 * rope * row, count, launch)
            self.stream(work, latent * (1 + cached) * row, count, launch)
        elif mixer is not None:
            wide = mixer.products(hidden, ranks)
            self.stream(work, 2 * wide[0].n * row, count, launch)  # convolution or feature map
            self.stream(work, 3 * wide[-1].k * row, count, launch)  # gate and norm of the output
        inner = block.feed_forward
        if isinstance(inner, Dense):
            self.stream(work, (3 if inner.gated else 2) * (inner.intermediate_size // ranks) * row, count, launch)
        elif isinstance(inner, Moe) and inner.shared_intermediate_size:
            self.stream(work, 3 * (inner.shared_intermediate_size // ranks) * row, count, launch)

    def _meet(self, work: Work, collectives: Iterable[Collective], launch: float) -> None:
        """Collectives wait for all ranks; their launch in a graph is part of the law."""
        law = self.efficiency.collective
        for each in collectives:
            nodes = 1 if self.gpus_per_node is None else max(1, -(-each.ranks // self.gpus_per_node))
            if each.operation == "p2p":
                layout, node = self.shard.layout, self.gpus_per_node
                whole = layout.tensor_parallel_size * layout.pipeline_parallel_size
                seconds = law.p2p(each.size, 1 if node is None or whole <= node else 2)
            elif each.operation == "all_to_all":
                seconds = law.all_to_all(each.ranks, each.size, nodes, each.choices)
            else:
                seconds = getattr(law, each.operation)(each.ranks, each.size, nodes)
            work.nvlink += each.times * seconds
            work.launch += each.times * (launch - self.efficiency.launch.graph)
            work.link_bytes += each.link_bytes
            work.kernels += each.times

    def stream(self, work: Work, size: float, times: int, launch: float) -> None:
        """``times`` kernels that read and write ``size`` bytes each."""
        if not times:
            return
        work.hbm += self.efficiency.stream.body(size) * times
        work.launch += launch * times
        work.hbm_bytes += size * times
        work.kernels += times
