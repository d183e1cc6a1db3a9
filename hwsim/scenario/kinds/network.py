"""How nodes are wired to each other."""

from typing import Annotated, Literal

from hwsim.scenario.schema.hardware import Link, Switch
from hwsim.scenario.schema.quantity import Count, Positive
from hwsim.scenario.schema.record import Kind
from hwsim.scenario.schema.short import Short


class RailFatTree(Kind):
    """One plane of a fat tree per NIC rank (rail): equal NICs of all nodes meet in one switch tier first."""

    kind: Literal["rail_fat_tree"]
    link: Annotated[Link, Short("like")]
    switch: Annotated[Switch, Short("like")] | None = None
    rails: Count | None = None
    nodes_per_leaf: Count | None = None
    oversubscription: Positive | None = None


class FatTree(Kind):
    """A tree that all NICs share; ``oversubscription`` is bandwidth into a leaf over bandwidth up from it."""

    kind: Literal["fat_tree"]
    link: Annotated[Link, Short("like")]
    switch: Annotated[Switch, Short("like")] | None = None
    nodes_per_leaf: Count | None = None
    oversubscription: Positive | None = None


class MultiPlane(Kind):
    """Separate fat trees side by side, one for each NIC of a node: planes are changed inside nodes only."""

    kind: Literal["multi_plane"]
    link: Annotated[Link, Short("like")]
    switch: Annotated[Switch, Short("like")] | None = None
    planes: Count | None = None
    nodes_per_leaf: Count | None = None
    oversubscription: Positive | None = None


PART = (RailFatTree, FatTree, MultiPlane)
