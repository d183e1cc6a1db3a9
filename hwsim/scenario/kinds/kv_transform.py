"""In which form attention keeps its cache."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Count, Share, Tokens, Tokens0
from hwsim.scenario.schema.record import Kind


class _Packed(Kind):
    """What all quantised forms have: scale and zero point for each ``group`` of values, ``recent`` tokens whole."""

    group: Count = 128
    recent: Tokens0 = 0


class Quantised(_Packed):
    """Keys and values in ``bits`` (KIVI)."""

    kind: Literal["quantised"]
    bits: Count = 4


class Xquant(_Packed):
    """XQuant: the layer's input in ``bits``; keys and values are made again in every step, ``overlap`` with what."""

    kind: Literal["xquant"]
    bits: Count = 4
    overlap: Literal["weights", "nothing"] = "weights"


class XquantCl(_Packed):
    """XQuant-CL: each layer keeps in ``bits`` how its input differs from the layer's before; the sum, in
    ``accumulator_bits``, passes from layer to layer.  The ``first_layers`` keep their input in 4 bits.
    """

    kind: Literal["xquant_cl"]
    bits: Count = 3
    first_layers: Count = 3
    accumulator_bits: Count = 4
    overlap: Literal["weights", "nothing"] = "weights"


class Think(_Packed):
    """ThinK: old keys without the share ``dropped`` of their channels, what is left perhaps in ``bits``."""

    kind: Literal["think"]
    dropped: Share = 0.4
    recent: Tokens0 = 32
    bits: Count | None = None


class Streaming(Kind):
    """StreamingLLM: the first ``sinks`` tokens and the last ``window``."""

    kind: Literal["streaming"]
    window: Tokens = 4096
    sinks: Tokens0 = 4


class RetrievalHeads(Kind):
    """DuoAttention: a ``share`` of the heads sees everything, the others ``sinks`` and a ``window``."""

    kind: Literal["retrieval_heads"]
    share: Share = 0.25
    window: Tokens = 256
    sinks: Tokens0 = 64


class Infllm(Kind):
    """InfLLM: old KV in host memory, of which ``blocks`` come back for each step and each ``span`` of a prompt.

    ``miss``: share of them that is not among the ``cached_blocks`` on the GPU.
    """

    kind: Literal["infllm"]
    initial: Tokens0 = 128
    local: Tokens = 4096
    block: Tokens = 128
    blocks: Count = 32
    cached_blocks: Count = 32
    representatives: Count = 4
    span: Tokens = 512
    miss: Share = 1.0


PART = (Quantised, Xquant, XquantCl, Think, Streaming, RetrievalHeads, Infllm)
