"""What a pattern runs: a model's sizes, a system, where the data lives, and the pattern's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.cost.processor import law, packed
from hwsim.errors import ScenarioError
from hwsim.taskgraph.work import Work

if TYPE_CHECKING:
    from hwsim.cost.efficiency.coefficients import Efficiency
    from hwsim.hardware.device import Device
    from hwsim.hardware.system import System
    from hwsim.model.model import Model
    from hwsim.taskgraph.site import Site

# Places by their short names.
PLACES = {"gpu": "gpu0", "cpu": "dram"}


class Step(NamedTuple):
    """One pass: ``rows`` sequences compute ``new`` tokens each after ``past`` tokens."""

    rows: int
    new: int
    past: int

    @property
    def tokens(self) -> int:
        """Tokens computed in all."""
        return self.rows * self.new

    @property
    def pairs(self) -> float:
        """Query-key pairs in all (causal)."""
        return self.rows * (self.new * self.past + self.new * (self.new + 1) / 2)


@dataclass(frozen=True)
class Sizes:
    """Parameters and bytes of one layer; ``matrices`` of a feed-forward network are 3 if it is gated, else 2."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    neurons: int
    matrices: int
    experts: int
    top_k: int
    attention: int
    ffn: int
    vocabulary: int
    weight_bytes: float
    kv_bytes: float
    activation_bytes: int

    @classmethod
    def of(cls, model: Model) -> Sizes:
        """The sizes of a decoder of equal layers (mixed ones are averaged)."""
        hidden, layers = model.hidden_size, model.num_hidden_layers
        query = model.num_attention_heads * model.head_dim
        kv = model.num_key_value_heads * model.head_dim
        latent: Any = model.attention if hasattr(model.attention, "kv_lora_rank") else None
        tables = model.vocab_size * hidden * (1 if model.tie_word_embeddings else 2)
        layer = (model.parameters - tables) / layers
        attention = 2 * hidden * (query + kv)
        kv_bytes = 2 * kv * model.kv_format.bytes
        if latent is not None:
            attention = sum(product.parameters for product in latent.products(hidden))
            kv_bytes = (latent.kv_lora_rank + latent.qk_rope_head_dim) * model.kv_format.bytes
        moe: Any = getattr(model, "moe", None)
        experts, top_k = (moe.experts, moe.top_k) if moe is not None else (1, 1)
        ffn = layer - attention
        matrices = max(2, round(ffn / experts / (hidden * model.intermediate_size)))
        return cls(
            layers,
            hidden,
            model.num_attention_heads,
            model.num_key_value_heads,
            model.head_dim,
            model.intermediate_size,
            matrices,
            experts,
            top_k,
            int(attention),
            int(ffn),
            model.vocab_size,
            model.weight_format.bytes,
            kv_bytes,
            2,
        )

    @property
    def active_ffn(self) -> float:
        """Feed-forward parameters that multiply one token."""
        return self.ffn * self.top_k / self.experts

    @property
    def neuron_parameters(self) -> int:
        """Parameters of one neuron over all matrices of its feed-forward network."""
        return self.matrices * self.hidden


@dataclass(frozen=True)
class Job:
    """``place``: class of data to shares by place; ``facts``: what is known of the data (sparsity, acceptance).

    ``limits``: bytes that a class of data may take at a place.
    """

    model: Model
    system: System
    settings: Mapping[str, Any]
    place: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    draft: Model | None = None
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @cached_property
    def sizes(self) -> Sizes:
        """The model's sizes."""
        return Sizes.of(self.model)

    def get(self, name: str, default: Any = None) -> Any:
        """A setting of the pattern, or its default."""
        value = self.settings.get(name)
        return default if value is None else value

    def need(self, name: str) -> Any:
        """A setting that has no default."""
        value = self.settings.get(name)
        if value is None:
            raise ScenarioError.of(f"execute.{name} is missing", where="serve.execute", expected=f"{name}: …")
        return value

    def share(self, data: str, place: str, default: Mapping[str, float] | None = None) -> float:
        """Share of a class of data at a place."""
        return self.shares(data, default).get(PLACES.get(place, place), 0.0)

    def shares(self, data: str, default: Mapping[str, float] | None = None) -> dict[str, float]:
        """Shares of a class of data by place; where nobody said, ``default`` or all of it on the GPU."""
        given = self.place.get(data) or (default or {"gpu": 1.0})
        return {PLACES.get(place, place): share for place, share in given.items()}

    # -- costs that patterns share -------------------------------------------------------------------------------

    def dense(
        self, site: Site, name: str, at: str, tokens: float, parameters: float, *, reads: float | None = None
    ) -> Work:
        """``tokens`` through matrices of ``parameters``: 2 FLOP each, the weights read once.

        On a GPU after the device's matrix-product law, or with ``gpu_efficiency`` a roofline of that share of the peak;
        packed weights on a processor by the law of its kernels; elsewhere a roofline of what the place delivers.
        """
        sizes = self.sizes
        weights = parameters * sizes.weight_bytes if reads is None else reads
        role = at.rpartition("/")[2].rstrip("0123456789")
        flop = 2.0 * tokens * parameters
        given = self.get(f"{role}_efficiency")
        if role == "cpu" and given is None and packed(self.model.weight_format.name):
            return self._unpacked(site, name, at, flop, weights)
        if role != "gpu":
            return site.compute(name, at, flop, weights, efficiency=given or 1.0)
        device = site.device(at)
        assert device is not None
        kernels = self._law(device)
        moved = weights + sizes.activation_bytes * tokens * (sizes.hidden + parameters / sizes.hidden)
        dtype = self.model.weight_format.compute
        if dtype not in kernels.gemm.compute:
            dtype = "bf16"
        if given is not None:
            share = min(kernels.gemm.kernel(dtype).memory, _delivered(device))
            return site.compute(name, at, flop, moved, efficiency=given, memory_efficiency=share)
        columns = max(1, round(parameters / sizes.hidden))
        rows = max(1, round(tokens))
        body = kernels.gemm.body(
            rows, columns, sizes.hidden, device.peak(dtype), dtype, weights, sizes.activation_bytes
        )
        return site.compute(name, at, flop, moved, seconds=body.total + kernels.launch.graph)

    def _unpacked(self, site: Site, name: str, at: str, flop: float, weights: float) -> Work:
        """Packed weights on a processor; its matrix units are used where the pattern says so (``cpu_units``)."""
        device, kernels = site.device(at), law()
        assert device is not None
        sockets = max(device.count, 1) if at == at.rstrip("0123456789") else 1
        vector = (device.get("peak.fp32") or 0.0) * sockets
        engine = site.engine(at).rate
        units = engine if self.get("cpu_units") == "matrix" else min(vector or engine, engine)
        clocks = (device.get("cores") or 0.0) * (device.get("clock") or 0.0) * sockets
        rate = min((memory.rate for memory in site.memories(at)), default=inf)
        share = kernels.delivered(clocks, rate)
        return site.compute(
            name, at, flop, weights, efficiency=units * kernels.compute / engine, memory_efficiency=share
        )

    def _law(self, device: Device) -> Efficiency:
        from hwsim.cost.efficiency import find

        return find(device, "llama.cpp" if packed(self.model.weight_format.name) else "vllm")

    def attention(self, site: Site, name: str, at: str, pairs: float, kv_read: float, traffic: float = 1.0) -> Work:
        """Scores and values of one layer over ``pairs``, reading ``kv_read`` bytes (times ``traffic``)."""
        sizes = self.sizes
        role = at.rpartition("/")[2].rstrip("0123456789")
        flop = 4.0 * sizes.heads * sizes.head_dim * pairs
        given = self.get(f"{role}_efficiency")
        device = site.device(at) if role == "gpu" else None
        share = _delivered(device) if device is not None else 1.0
        return site.compute(name, at, flop, kv_read * traffic, efficiency=given or 1.0, memory_efficiency=share)


def _delivered(device: Device) -> float:
    """What the memory of a GPU was measured to deliver, as a share of the data sheet's bandwidth (1: not known)."""
    measured = device.get("achieved.hbm")
    return min(1.0, measured / device.hbm_bandwidth) if measured else 1.0
