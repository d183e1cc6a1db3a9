"""``system:``, the machines that exist: nodes, groups of them, the devices in them and the network between them."""

from typing import TYPE_CHECKING, Annotated, Any

from hwsim.errors import ScenarioError
from hwsim.hardware.catalogue import ROLES
from hwsim.hardware.ideal import Ideal
from hwsim.scenario.schema.device import Device, device
from hwsim.scenario.schema.quantity import Count, Name, Reader, Text
from hwsim.scenario.schema.record import Kind, Record
from hwsim.scenario.schema.short import Choice, Short


class _Machine(Record):
    """A machine: a catalogue node with changed devices, or devices alone; ``null`` takes a device out."""

    like: Text | None = None


if TYPE_CHECKING:

    class Link(Device):
        """A network link of one product."""

    class Switch(Device):
        """A network switch of one product."""

    class Node(_Machine):
        """A machine; see ``_Machine``."""

        gpu: Device | None = None
        cpu: Device | None = None
        dram: Device | None = None
        cxl: Device | None = None
        ssd: Device | None = None
        flash: Device | None = None
        nic: Device | None = None
        npu: Device | None = None
        fpga: Device | None = None

        def __getattr__(self, name: str) -> Any: ...

else:
    Link = device("link")
    Switch = device("switch")
    Node = device(
        "node",
        _Machine,
        **{key: (Annotated[device(kind), Short("like")] | None, None) for key, kind in ROLES.items()},
    )


def _resources(value: Any) -> list[str]:
    names = value if isinstance(value, list) else str(value).split(",")
    try:
        return list(Ideal(str(name) for name in names).names)
    except ScenarioError as error:
        raise ValueError(str(error).removeprefix("system.ideal: ")) from None


_HINT = "resources given infinite speed, such as [pcie0, ssd]"
Resources = Annotated[
    list[str],
    Reader(
        _resources,
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}], "description": _HINT},
    ),
]


class Group(Record):
    """Some equal nodes."""

    node: Annotated[Node, Short("like")] | None = None
    nodes: Count = 1


class System(Group):
    """What exists: one group inline or several by name, and the network between the nodes."""

    groups: dict[Name, Group] | None = None
    network: Annotated[Kind, Choice("network"), Short("kind")] | None = None
    ideal: Resources | None = None

    def members(self) -> dict[str, Group]:
        """The groups by name, each with the fields beside them as defaults; a single group is called ``nodes``."""
        if self.groups is None:
            return {"nodes": Group.model_construct(_fields_set={"node", "nodes"}, node=self.node, nodes=self.nodes)}
        return {name: group.under(self) for name, group in self.groups.items()}
