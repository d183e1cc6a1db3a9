"""How many replicas should run: what an autoscaler may see, and what follows from its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from hwsim.serving.routing import Loads, Sees


class Autoscaler(Protocol):
    """Answers how many replicas the present load wants; limits and delays are the mechanism's.

    ``sees`` says what of the replicas it looks at, as with a router.
    """

    sees: ClassVar[Sees]

    def desired(self, loads: Loads, parked: int, coming: int) -> int:
        """Replicas wanted.  ``parked`` requests wait for any replica; ``coming`` replicas are starting."""
        ...


@dataclass(frozen=True, slots=True)
class Scaling:
    """An autoscaler with its limits and times (subticks).

    ``load_weights(replica, on_done)`` moves the weights to the GPUs of a replica over the fabric and calls back.
    """

    policy: Autoscaler
    least: int
    most: int
    every: int
    start_up: int
    cool_down: int
    load_weights: Callable[[int, Callable[[], object]], None] | None = None
