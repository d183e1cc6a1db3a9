"""Separate planes, one fat tree each (DeepSeek-V3, arXiv 2505.09343): a NIC reaches only NICs of its own plane.

Traffic that must change the plane does so inside a node, over NVLink or the host.
"""

from __future__ import annotations

from hwsim.hardware.network import Tree, Wire


class MultiPlane(Tree):
    """``planes`` fat trees side by side."""

    joined = False

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, int(wire.number("planes", wire.nics)) or 1)


PART = MultiPlane
