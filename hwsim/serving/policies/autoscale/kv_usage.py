"""As many replicas as bring the mean use of the KV pool to ``target`` (the rule of Kubernetes' HPA, with tolerance).

``desired = ceil(open x use / target)``, nothing while use is within ``tolerance`` of the target; requests that wait
count as a full pool, since a pool that is full cannot show how much more is wanted.
"""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Sees


class KvUsage:
    """Mean use of the open replicas' KV pools over the target."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any) -> None:
        self.target: float = parameters.target
        self.tolerance: float = parameters.tolerance

    def desired(self, loads: Loads, parked: int, coming: int) -> int:
        """What the formula gives, starting replicas counted as empty."""
        have = len(loads.open) + coming
        used = sum([1.0 if loads.waiting[i] else loads.kv_usage[i] for i in loads.open])
        if not loads.open:
            return max(have, 1)
        ratio = used / have / self.target
        return have if abs(ratio - 1) <= self.tolerance else max(ceil(used / self.target), 1)


PART = KvUsage
