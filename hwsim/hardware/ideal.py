"""Resources given infinite speed for a what-if: ``pcie0``, ``ssd``, ``hbm``, ``tensor``, ``nvlink``, ``launch``, …

A name stands for every capacity that carries it: ``pcie`` for the PCIe links of all GPUs, ``pcie0`` (or
``gpu0.pcie``) for those of the first, ``ssd`` for all drives.  ``launch`` and ``host`` are no capacities: the price of
a step asks the device for them (``Device.ideal``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from hwsim.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from hwsim.hardware.hop import Hop
    from hwsim.hardware.node import Node

UNLIMITED = 1e30  # units per second: finite, because a capacity must be, and never short
WORDS = (
    "compute", "cxl", "dram", "flash", "hbm", "host", "io", "launch", "network", "nic", "npu", "nvlink", "pcie", "ssd",
    "tensor", "upi",
)  # fmt: skip


PRICED = {"tensor": "peak.", "hbm": "hbm.", "nvlink": "nvlink."}  # resources in the price of a step, and figures

TIMES = ("launch", "host")  # times in the price of a step that no figure of a device gives


class Ideal:
    """A set of resources without limit."""

    def __init__(self, names: Iterable[str] | str = ()) -> None:
        """Names, or text with commas between them; unknown resources raise ``ScenarioError``."""
        names = names.split(",") if isinstance(names, str) else names
        self.names = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
        wrong = [name for name in self.names if not _known(name)]
        if wrong:
            raise ScenarioError.of(
                "unknown resource",
                where="system.ideal",
                got=wrong[0],
                expected="one of " + ", ".join(WORDS) + ", or one device of them such as pcie0 or gpu0.hbm",
                nearest=nearest(wrong[0], WORDS),
            )

    def __bool__(self) -> bool:
        return bool(self.names)

    def has(self, word: str) -> bool:
        """Whether a resource is without limit everywhere."""
        return word in self.names

    def covers(self, capacity: str) -> bool:
        """Whether a capacity (named without its node) is without limit."""
        return any(_carries(name, capacity) for name in self.names)

    def covers_hop(self, hop: Hop) -> bool:
        """Whether a link is without limit: then it has no latency and no overhead either."""
        return bool(self.names) and any(self.covers(name) for name, _ in hop.takes)

    def node(self, node: Node) -> Node:
        """A node whose GPUs compute, read their memory or reach each other without limit, as far as named.

        This is what prices of engine steps see; links, drives and main memory are without limit in the fabric.
        """
        prefixes = [prefix for word, prefix in PRICED.items() if self.has(word)]
        words = [word for word in TIMES if self.has(word)]
        gpu = node.devices.get("gpu")
        if not (prefixes or words) or gpu is None:
            return node
        figures = {
            name: replace(figure, value=UNLIMITED, source="given infinite speed", status="GIVEN")
            if prefixes and name.startswith(tuple(prefixes)) and figure.dimension in ("flop/s", "bytes/s")
            else figure
            for name, figure in gpu.figures.items()
        }
        return replace(node, devices={**node.devices, "gpu": replace(gpu, figures=figures, ideal=tuple(words))})

    def rate(self, capacity: str, rate: float) -> float:
        """The rate that a capacity has."""
        return UNLIMITED if self.names and self.covers(capacity) else rate


def _known(name: str) -> bool:
    word = re.sub(r"\d+", "", name)
    return word in WORDS or word.partition(".")[2] in WORDS


def _carries(name: str, capacity: str) -> bool:
    """``pcie`` and ``pcie0``, ``gpu0.pcie`` against ``gpu0.pcie.h2d``; ``ssd`` and ``ssd1`` against ``ssd1``."""
    device, _, word = capacity.partition(".")
    role, number = device.rstrip("0123456789"), device[len(device.rstrip("0123456789")) :]
    if name in (device, role, capacity) or capacity.startswith(f"{name}."):
        return True
    wanted, index = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
    first = word.partition(".")[0]
    return first == wanted and index in ("", number or "0")
