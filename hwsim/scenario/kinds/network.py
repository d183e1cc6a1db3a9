"""How nodes are wired to each other."""

from __future__ import annotations

from typing import Annotated, Literal

from hwsim.scenario.schema.hardware import Link
from hwsim.scenario.schema.quantity import Count
from hwsim.scenario.schema.record import Kind
from hwsim.scenario.schema.short import Short


class RailFatTree(Kind):
    """One plane of a fat tree per NIC rank (rail): equal NICs of all nodes meet in one switch tier first."""

    kind: Literal["rail_fat_tree"]
    link: Annotated[Link, Short("like")]
    rails: Count | None = None


class FatTree(Kind):
    """A non-blocking tree that all NICs share."""

    kind: Literal["fat_tree"]
    link: Annotated[Link, Short("like")]


PART = (RailFatTree, FatTree)
