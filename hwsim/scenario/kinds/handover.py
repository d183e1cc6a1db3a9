"""How KV goes from a prefill replica to a decode replica."""

from typing import Literal

from hwsim.scenario.schema.quantity import Bandwidth, Seconds, Share
from hwsim.scenario.schema.record import Kind


class _Handover(Kind):
    """What all connectors have: costs beside the bytes, and a link of one's own instead of the system's routes."""

    launch: Seconds | None = None
    descriptor: Seconds | None = None
    pieces: Literal["layer", "page"] = "page"
    bandwidth: Bandwidth | None = None
    latency: Seconds = 0.0


class Nixl(_Handover):
    """NIXL: the decode side pulls (or the prefill side pushes) KV whole or layer by layer."""

    kind: Literal["nixl"]
    unit: Literal["layer", "request"] = "request"
    mode: Literal["pull", "push"] = "pull"


class Mooncake(_Handover):
    """Mooncake: prefill writes the whole prompt once decode has asked for it."""

    kind: Literal["mooncake"]
    unit: Literal["request"] = "request"
    mode: Literal["push"] = "push"


class Sglang(_Handover):
    """SGLang: decode reserves first, prefill sends by chunks and hands the first output over."""

    kind: Literal["sglang"]
    unit: Literal["chunk", "request"] = "chunk"
    mode: Literal["push"] = "push"


class P2pNccl(_Handover):
    """P2P NCCL: prefill sends layer by layer into a buffer at decode."""

    kind: Literal["p2p_nccl"]
    unit: Literal["layer", "request"] = "layer"
    mode: Literal["push"] = "push"


class Distserve(_Handover):
    """DistServe: prefill gives the first output itself, decode pulls the KV."""

    kind: Literal["distserve"]
    unit: Literal["request"] = "request"
    mode: Literal["pull"] = "pull"


class InPlace(Kind):
    """No way at all: both pools run on the same GPUs (``split``), and prefill has the share ``kv`` of the KV memory."""

    kind: Literal["in_place"]
    kv: Share = 0.2


PART = (Nixl, Mooncake, Sglang, P2pNccl, Distserve, InPlace)
