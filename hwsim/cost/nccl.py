"""NCCL's own model of a ring over PCIe: base latency, steps and bytes over bus bandwidth, the better of two protocols.

Where GPUs have no direct links, how they are wired decides, not what GPU it is.  LL128 is left out: NCCL keeps it to
NVLink.  Simplification: rings only (trees gain at small messages over many nodes), ranks arrive together.  Source of
the form and of its constants: NCCL tuning.cc and topo.h, see nccl.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.cost.collective import Stretch, factor
from hwsim.units import parse

OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


class Protocol(NamedTuple):
    """Seconds once, seconds per step of the ring, share of the bandwidth."""

    base: float
    step: float
    rate: float


@cache
def _content() -> Mapping[str, Any]:
    import yaml

    return yaml.safe_load((Path(__file__).parent / "nccl.yaml").read_text(encoding="utf-8"))


def network_step() -> float:
    """Seconds that a message between nodes waits for beyond the latencies of its links."""
    return float(parse(_content()["network"]["step"], "s"))


@cache
def _constants() -> tuple[float, tuple[Protocol, ...]]:
    content = _content()
    protocols = [
        Protocol(float(parse(each["base"], "s")), float(parse(each["step"], "s")), float(parse(each["rate"], "share")))
        for each in content["protocols"].values()
    ]
    return float(parse(content["plateau"]["value"], "share")), tuple(protocols)


def steps(operation: str, ranks: int) -> int:
    """Times that a byte is passed on: twice around for an all-reduce, else once."""
    return (2 if operation == "all_reduce" else 1) * (ranks - 1)


def stretches(operation: str, ranks: int, bandwidth: float) -> tuple[Stretch, ...]:
    """The law by size for links of ``bandwidth`` (bytes/s): the protocol of least latency, then the fastest."""
    plateau, protocols = _constants()
    lines = [
        Stretch(inf, each.base + steps(operation, ranks) * each.step, bandwidth * plateau * each.rate)
        for each in protocols
    ]
    lines.sort(key=lambda line: line.alpha)
    found = [lines[0]]
    for line in lines[1:]:
        before = found[-1]
        if line.bandwidth <= before.bandwidth:
            continue
        gained = factor(operation, ranks) * (1 / before.bandwidth - 1 / line.bandwidth)
        found[-1] = before._replace(most=(line.alpha - before.alpha) / gained)
        found.append(line)
    return tuple(found)
