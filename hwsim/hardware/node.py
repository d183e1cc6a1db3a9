"""A node: the devices in one machine by role (gpu, cpu, dram, cxl, ssd, flash, nic, npu) and its own figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.errors import ScenarioError
from hwsim.hardware.device import Device, Figure


@dataclass(frozen=True)
class Node:
    """One machine.

    ``bridge`` is how its GPUs reach each other: all through an ``nvswitch``, two and two by ``nvlink`` bridges, each
    with each in a ``mesh``, over ``pcie`` alone, or ``none``.
    """

    name: str
    product: str
    figures: Mapping[str, Figure]
    devices: Mapping[str, Device]
    bridge: str = "pcie"

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        gpu = self.devices.get("gpu")
        return gpu.count if gpu is not None else 0

    @property
    def gpu(self) -> Device:
        """The GPUs; a node without any raises ``ScenarioError``."""
        return self.device("gpu")

    def device(self, role: str) -> Device:
        """The devices in a role; a role that is empty raises ``ScenarioError`` with those that are filled."""
        found = self.devices.get(role)
        if found is None:
            raise ScenarioError.of(
                f"{self.name} has no {role}",
                where=f"system.node.{role}",
                expected="one of " + ", ".join(self.devices),
            )
        return found

    def get(self, name: str, default: float | None = None) -> float | None:
        """A figure of the node itself in base units, or ``default``."""
        figure = self.figures.get(name)
        return default if figure is None else figure.value

    @property
    def thread_speed(self) -> float | None:
        """How much work one thread of its processor does per second, in clocks of a Skylake core; unknown: ``None``."""
        cpu = self.devices.get("cpu")
        clock, work = (cpu.get("boost_clock"), cpu.get("work_per_clock")) if cpu is not None else (None, None)
        return clock * work if clock and work else None

    @property
    def dram_bandwidth(self) -> float | None:
        """Bytes/s of main memory: its own figure, else what all sockets achieve, else their data sheet."""
        dram, cpu = self.devices.get("dram"), self.devices.get("cpu")
        own = dram.get("bandwidth") if dram is not None else None
        if own is not None or cpu is None:
            return own
        per_socket = cpu.get("dram.achieved", cpu.get("dram.bandwidth"))
        return None if per_socket is None else per_socket * cpu.count
