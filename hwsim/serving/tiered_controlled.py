"""Replicas with KV memory below their GPUs behind a control plane: refused, failing, starting, with adapters."""

from __future__ import annotations

from hwsim.serving.adapted import Adapted
from hwsim.serving.controlled import Controlled
from hwsim.serving.request import Request
from hwsim.serving.tiered import Tiered


class TieredControlled(Tiered, Controlled):
    """Acts of control in one order with arrivals and looks at engines.

    A replica that fails loses what its GPUs held; host memory, drives and remote pools belong to the node or to others
    and keep theirs (a store in a process of its own, as LMCache's and Mooncake's are).  Loads to it that were under way
    are lost.  Simplification: what its GPUs had begun to copy down arrives.
    """

    def _route(self, request: Request) -> int:
        self._ask_below(request)
        return super()._route(request)


class TieredAdapted(TieredControlled, Adapted):
    """The same, where each request waits for its adapter before its engine gets it."""
