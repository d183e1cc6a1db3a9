"""How one step runs: the pattern of its task graph."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Flag, Share
from hwsim.scenario.schema.record import Kind


class Layers(Kind):
    """Layer after layer, all of the model's state in its place."""

    kind: Literal["layers"]


class Pattern(Kind):
    """What patterns share: shares of the peaks that devices reach in matrix products, where a cost law is not wanted."""

    gpu_efficiency: Share | None = None
    cpu_efficiency: Share | None = None
    npu_efficiency: Share | None = None


class ZigZag(Pattern):
    """A block of GPU batches goes through each layer before the next; six streams overlap (FlexGen)."""

    kind: Literal["zigzag"]
    gpu_batch: Count
    gpu_batches: Count = 1
    overlap: Flag = True
    cpu_attention: Flag = False
    cpu_kernel: Literal["converted", "native"] = "converted"


class NeuronClusters(Pattern):
    """Hot clusters on the NPU, cold ones on the CPU, the rest read from flash in bundles."""

    kind: Literal["neuron_clusters"]
    npu_share: Share | None = None
    bundle: Literal["none", "gate_up_down"] = "none"


PART = (Layers, ZigZag, NeuronClusters)
