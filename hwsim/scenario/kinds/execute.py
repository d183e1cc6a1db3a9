"""How one step runs: the pattern of its task graph."""

from typing import Literal

from hwsim.scenario.schema.quantity import Bandwidth, Bytes, Count, Flag, Positive, Seconds, Share, Text, Tokens
from hwsim.scenario.schema.record import Kind


class Layers(Kind):
    """Layer after layer, all of the model's state in its place."""

    kind: Literal["layers"]


class Pattern(Kind):
    """What patterns share: shares of their peaks that devices reach in matrix products, instead of a cost law."""

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
    pinned: Flag = True
    pinned_cache: Flag = False
    compressed: Flag = False


class LayerStreaming(Pattern):
    """Weights come layer by layer into buffers on the device, ahead of compute."""

    kind: Literal["layer_streaming"]
    batch: Count = 1
    buffers: Count = 2
    synchronous: Flag = False
    mapped: Flag = False
    backend: Text = "gpu0"


class InPlace(Pattern):
    """Each part of a layer is computed where its weights lie, GPU or CPU; only hidden states move."""

    kind: Literal["in_place"]
    batch: Count = 1
    cpu_units: Literal["matrix", "vector"] = "matrix"


class AlternatingGroups(Pattern):
    """CPU attention beside the KV cache, two groups of tokens in turn on GPU and CPU (MoE-Lens)."""

    kind: Literal["alternating_groups"]
    batch: Count
    alternate: Flag = True


class ActiveNeurons(Pattern):
    """Predicted active neurons from flash with a window cache and bundled rows (LLM in a flash)."""

    kind: Literal["active_neurons"]
    predict: Flag = True
    window: Flag = True
    bundle: Flag = True
    mapped: Flag = False
    resident: Share = 0.0
    backend: Text = "gpu0"
    row_rate: Bandwidth | None = None
    bundled_rate: Bandwidth | None = None
    insert_time: Seconds | None = None
    memory_efficiency: Share = 1.0


class NeuronClusters(Pattern):
    """Hot clusters on the NPU, cold ones on the CPU, the rest read from flash in bundles (PowerInfer-2)."""

    kind: Literal["neuron_clusters"]
    batch: Count = 1
    npu_share: Share | None = None
    bundle: Literal["none", "up_down", "gate_up_down"] = "none"
    cache: Flag = True
    random_rate: Bandwidth | None = None
    waited_rate: Bandwidth | None = None
    pipeline: Flag = True
    offloaded: Share | None = None
    predictor_rank: Count | None = None
    memory_efficiency: Share = 1.0


class DraftResident(Pattern):
    """A draft in memory drafts token trees, the target is swapped in once per verification (LLMCad)."""

    kind: Literal["draft_resident"]
    draft: Text | None = None
    tree_tokens: Count = 8
    accepted: Positive | None = None
    verify: Literal["tree", "token"] = "tree"
    speculative: Flag = True
    pipeline: Flag = True
    backend: Text = "cpu"


class WeightBlocks(Pattern):
    """Weight blocks loaded to a memory budget that may change (BitStack)."""

    kind: Literal["weight_blocks"]
    batch: Count = 1
    budget: Bytes
    budget_before: Bytes | None = None
    backend: Text = "gpu0"


class KvRetrieval(Pattern):
    """The KV cache in host memory, relevant blocks of it fetched for every layer."""

    kind: Literal["kv_retrieval"]
    batch: Count = 1
    block: Tokens = 128
    retrieved: Count = 16
    local: Tokens = 4096
    prefetch: Flag = True


PART = (
    Layers,
    ZigZag,
    LayerStreaming,
    InPlace,
    AlternatingGroups,
    ActiveNeurons,
    NeuronClusters,
    DraftResident,
    WeightBlocks,
    KvRetrieval,
)
