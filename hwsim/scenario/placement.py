"""Which GPUs of which nodes a replica runs on: first fit, the stages of a pipeline one after the other.

Simplification: GPUs of a node are equal, so a tensor-parallel group takes the lowest free ones of the first node that
has enough of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwsim.errors import FitError, ScenarioError, nearest

if TYPE_CHECKING:
    from hwsim.hardware.system import Group, System

_AT = re.compile(r"(?P<group>[^\[/]+)(\[(?P<nodes>[^\]]*)\])?(/(?P<device>[^\[]+)(\[(?P<slice>[^\]]*)\])?)?")


@dataclass(frozen=True)
class Area:
    """What an ``at:`` names: some nodes of a group and some GPUs of each."""

    group: Group
    nodes: tuple[int, ...]
    gpus: tuple[int, ...]

    @property
    def size(self) -> int:
        """GPUs in all."""
        return len(self.nodes) * len(self.gpus)


def area(system: System, at: str | None, where: str) -> Area:
    """The GPUs that ``group[nodes]/gpu[slice]`` names (short where unambiguous; None: the first group)."""
    groups = system.groups
    match = _AT.fullmatch(at) if at is not None else None
    name, nodes, device, gpus = match.group("group", "nodes", "device", "slice") if match else (None,) * 4
    if name is not None and name not in groups and device is None and len(groups) == 1:
        name, nodes, device, gpus = None, None, name, nodes  # `gpu[0:4]` of the only group
    if name is not None and name not in groups:
        raise ScenarioError.of(
            "unknown group", where=where, got=str(at), expected=", ".join(groups), nearest=nearest(name, list(groups))
        )
    if device not in (None, "gpu"):
        raise ScenarioError.of("replicas run on GPUs", where=where, got=str(at), expected=f"{name or 'gpu'}/gpu[0:4]")
    group = groups[name] if name is not None else next(iter(groups.values()))
    return Area(group, _slice(nodes, group.nodes, where), _slice(gpus, group.node.gpus, where))


def _slice(text: str | None, count: int, where: str) -> tuple[int, ...]:
    """``0:4``, ``:4``, ``4:`` or ``0, 2, 5`` of ``count`` things."""
    if text is None:
        return tuple(range(count))
    chosen: list[int] = []
    for part in text.split(","):
        low, colon, high = part.strip().partition(":")
        try:
            start = int(low) if low else 0
            chosen += range(start, (int(high) if high else count) if colon else start + 1)
        except ValueError:
            raise ScenarioError.of("not a slice", where=where, got=text, expected="0:4 or 0, 2") from None
    if not chosen or max(chosen) >= count:
        raise FitError.of("a slice beyond what there is", where=where, got=text, expected=f"0:{count}")
    return tuple(dict.fromkeys(chosen))


class Allotment:
    """Hands out the GPUs of a system, each to one engine."""

    def __init__(self, system: System) -> None:
        self.free: dict[tuple[str, int], list[int]] = {
            (name, node): list(range(group.node.gpus))
            for name, group in system.groups.items()
            for node in range(group.nodes)
        }
        self.single = len(self.free) == 1

    def engine(self, where: Area, tensor: int, stages: int) -> tuple[str, ...] | None:
        """GPUs for one engine by place name, stage after stage; None if there are not enough left."""
        taken: list[tuple[tuple[str, int], list[int]]] = []
        for _ in range(stages):
            found = self._stage(where, tensor)
            if found is None:
                for node, gpus in taken:
                    self.free[node] = sorted(self.free[node] + gpus)
                return None
            taken += found
        return tuple([self.place(node, gpu) for node, gpus in taken for gpu in gpus])

    def _stage(self, where: Area, tensor: int) -> list[tuple[tuple[str, int], list[int]]] | None:
        """``tensor`` GPUs of one node, or as many whole nodes as hold them."""
        nodes = -(-tensor // len(where.gpus))
        each = tensor // nodes
        taken: list[tuple[tuple[str, int], list[int]]] = []
        for index in where.nodes:
            node = (where.group.name, index)
            usable = [gpu for gpu in self.free[node] if gpu in where.gpus]
            if len(usable) >= each:
                taken.append((node, usable[:each]))
            if len(taken) == nodes:
                for chosen, gpus in taken:
                    self.free[chosen] = [gpu for gpu in self.free[chosen] if gpu not in gpus]
                return taken
        return None

    def place(self, node: tuple[str, int], gpu: int) -> str:
        """The name of a GPU as a place of the system."""
        return f"gpu{gpu}" if self.single else f"{node[0]}/{node[1]}/gpu{gpu}"
