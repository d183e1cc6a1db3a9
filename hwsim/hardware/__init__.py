"""What a machine is: devices, nodes and systems from a catalogue in which every figure has a unit and a source.

``find`` gives a :class:`Device` or :class:`Node` by product name or by ``{like: …, changed fields}``, ``System`` the
capacities and wiring of all nodes.  Nothing here knows models; time comes from ``hwsim.cost``.
"""

from hwsim.hardware.device import Device, Figure
from hwsim.hardware.find import find
from hwsim.hardware.node import Node
from hwsim.hardware.system import Group, System

__all__ = ["Device", "Figure", "Group", "Node", "System", "find"]
