"""How KV goes from a prefill replica to a decode replica."""

from __future__ import annotations

from typing import Literal

from hwsim.scenario.schema.record import Kind


class Nixl(Kind):
    """NIXL: the decode side pulls (or the prefill side pushes) KV whole or layer by layer."""

    kind: Literal["nixl"]
    unit: Literal["layer", "request"] = "request"
    mode: Literal["pull", "push"] = "pull"


PART = (Nixl,)
