"""How KV memory is allocated."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.quantity import Bytes, Positive, Seconds, Tokens0
from hwsim.scenario.schema.record import Kind


class Paged(Kind):
    """Pages of ``block_size`` tokens with block tables, for which kernels may take a multiple of their time."""

    kind: Literal["paged"]
    prefill_attention: Positive = 1.0
    decode_attention: Positive = 1.0


class Contiguous(Kind):
    """vAttention: memory reserved per request, mapped in page-groups of 64 KiB, 128 KiB, 256 KiB or 2 MiB as it grows.

    ``ahead``: tokens for which an idle place is mapped before a request comes.  ``map_time``: of one page-group; left
    out: by its size.
    """

    kind: Literal["contiguous"]
    page_group: Bytes = 2 * 1024 * 1024
    mapping: Literal["background", "synchronous"] = "background"
    reclamation: Literal["deferred", "eager"] = "deferred"
    ahead: Tokens0 = 0
    map_time: Seconds | None = None


PART = (Paged, Contiguous)
