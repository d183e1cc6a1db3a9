"""The parts of a pass that depend on a count only: blocks by tokens, head by sampled rows, attention by rows.

Seconds and amounts of one rank; all ranks work alike and at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwsim.cost.efficiency.coefficients import Accelerator, Efficiency
from hwsim.cost.gemm import Bodies
from hwsim.errors import FitError
from hwsim.model.sharding import Gemm, Shard

# Kernels of a block beside its four products and attention: two fused residual adds with norm, rotary embedding,
# cache write, gated activation.  A norm of queries and keys is one more.
SMALL_KERNELS = 5
# Kernels after the head: cast of the logits to 32 bit, maximum over the vocabulary, and a few on single numbers.
SAMPLING_KERNELS = 4
LOGIT_BYTES = 2 + 4 + 4  # read 16 bit, write 32 bit, read for the maximum


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
    kernels: int = field(default=0)

    def add(self, body: Bodies, times: int, launch: float) -> None:
        """``times`` kernels that compute or stream, whichever lasts longer naming the bound."""
        if body.compute >= body.memory:
            self.tensor += body.total * times
        else:
            self.hbm += body.total * times
        self.launch += launch * times
        self.kernels += times


class PassWork:
    """What one rank of a model does on one device under one stack."""

    def __init__(self, shard: Shard, device: Accelerator, efficiency: Efficiency) -> None:
        self.shard, self.device, self.efficiency = shard, device, efficiency
        self.format = shard.model.weight_format
        self.peak = self._peak(self.format.compute)
        self.head_dtype = shard.model.dtype if shard.model.dtype in ("bf16", "fp16", "fp32") else "bf16"
        self.head_peak = self._peak(self.head_dtype)

    def _peak(self, dtype: str) -> float:
        """Peak of a number format that has both a peak and an efficiency on this device."""
        peak = self.device.peak(dtype)
        if dtype not in self.efficiency.gemm.compute:
            raise FitError.of(
                f"no efficiency is known for {dtype} on {self.device.name}",
                where="model.dtype",
                got=self.shard.model.dtype,
                expected="a format that computes in " + ", ".join(self.efficiency.gemm.compute),
            )
        return peak

    def blocks(self, tokens: int, launch: float) -> Work:
        """Embedding, all blocks without attention, and the final norm, for ``tokens`` tokens."""
        work = Work()
        shard, model = self.shard, self.shard.model
        layers, tp = model.num_hidden_layers, shard.tensor_parallel_size
        activation = self.format.activation
        for gemm in shard.gemms:
            self._gemm(work, gemm, tokens, launch)
        row = tokens * activation
        query, kv = shard.attention_heads * model.head_dim, shard.kv_heads * model.head_dim
        cached = model.kv_format.bytes / activation
        norm = 4 * model.hidden_size * row  # read residual and branch, write residual and normed
        self._stream(work, norm, 2 * layers, launch)
        self._stream(work, 2 * (query + kv) * row, layers * (2 if model.qk_norm else 1), launch)
        self._stream(work, 2 * kv * (1 + cached) * row, layers, launch)
        self._stream(work, 3 * shard.intermediate_size * row, layers, launch)
        self._stream(work, 2 * model.hidden_size * row, 1, launch)  # embedding rows
        self._stream(work, norm, 1, launch)
        if tp > 1:
            message = model.hidden_size * row
            each = self.efficiency.collective.all_reduce(tp, message)
            count = 2 * layers + 1  # attention, feed-forward, embedding
            extra = launch - self.efficiency.launch.graph
            work.nvlink += count * each
            work.launch += count * extra
            work.link_bytes += count * self.efficiency.collective.link_bytes(tp, message)
            work.kernels += count
        return work

    def head(self, rows: int, launch: float) -> Work:
        """Output head and greedy sampling for ``rows`` rows, with the logits gathered from all ranks."""
        work = Work()
        if not rows:
            return work
        shard, model = self.shard, self.shard.model
        head, tp = shard.head, shard.tensor_parallel_size
        law = self.efficiency.gemm
        activation = self.format.activation
        body = law.body(rows, head.n, head.k, self.head_peak, self.head_dtype, shard.head_bytes, activation)
        work.add(body, 1, launch)
        work.flop += 2 * rows * head.n * head.k
        work.hbm_bytes += shard.head_bytes + rows * (head.n + head.k) * activation
        if tp > 1:
            message = rows * model.vocab_size * activation
            work.nvlink += self.efficiency.collective.all_gather(tp, message)
            work.link_bytes += (tp - 1) / tp * message
            work.kernels += 1
        self._stream(work, rows * model.vocab_size * LOGIT_BYTES / SAMPLING_KERNELS, SAMPLING_KERNELS, launch)
        return work

    def _gemm(self, work: Work, gemm: Gemm, tokens: int, launch: float) -> None:
        weights = gemm.n * gemm.k * self.format.bytes
        activation = self.format.activation
        body = self.efficiency.gemm.body(tokens, gemm.n, gemm.k, self.peak, self.format.compute, weights, activation)
        work.add(body, gemm.times, launch)
        work.flop += 2.0 * tokens * gemm.n * gemm.k * gemm.times
        work.hbm_bytes += (weights + activation * tokens * (gemm.n + gemm.k)) * gemm.times
        if self.format.compute in ("fp8", "int8"):  # a kernel before it rounds the activations
            self._stream(work, tokens * gemm.k * (activation + 1), gemm.times, launch)

    def _stream(self, work: Work, size: float, times: int, launch: float) -> None:
        work.hbm += self.efficiency.stream.body(size) * times
        work.launch += launch * times
        work.hbm_bytes += size * times
        work.kernels += times
