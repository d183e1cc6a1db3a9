"""Copies to the ranks of a replica side by side: bytes from one place to each of its GPUs, over shared capacities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hwsim.kernel.activity import Activity

if TYPE_CHECKING:
    from hwsim.hardware.fabric import Transfer
    from hwsim.kernel.domain import Domain


def beside(place: str, gpu: str) -> str:
    """A place of the GPU's own node, unless its group is named (``group/dram``)."""
    return place if "/" in place else gpu.rpartition("/")[0] + "/" * ("/" in gpu) + place


def copy_all(
    domain: Domain, transfers: Sequence[Transfer], name: str, owner: str, on_done: Callable[[], object]
) -> None:
    """Start all transfers now; ``on_done`` is called when the last of them has ended."""
    left = len(transfers)

    def arrived(_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            on_done()

    for transfer in transfers:
        Activity(
            domain, name, fixed=transfer.fixed_ticks, phases=(transfer.phase,), owner=owner, on_done=arrived
        ).submit()
