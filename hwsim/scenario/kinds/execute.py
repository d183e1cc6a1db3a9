"""How one step runs: the pattern of its task graph."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Share
from hwsim.scenario.schema.record import Kind


class Layers(Kind):
    """Layer after layer, all of the model's state in its place."""

    kind: Literal["layers"]


class NeuronClusters(Kind):
    """Hot clusters on the NPU, cold ones on the CPU, the rest read from flash in bundles."""

    kind: Literal["neuron_clusters"]
    npu_share: Share | None = None
    bundle: Literal["none", "gate_up_down"] = "none"


PART = (Layers, NeuronClusters)
