"""A rail-optimised fat tree: equal NICs of all nodes meet in one leaf; other rails are reached over the core."""

from __future__ import annotations

from hwsim.hardware.network import Tree, Wire


class RailFatTree(Tree):
    """One set of leaves per rail under a common core."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire, int(wire.number("rails", wire.nics)) or 1)


PART = RailFatTree
