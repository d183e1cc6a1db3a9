"""What this machine reaches, as YAML of a CPU, a drive and perhaps a GPU, with date and set-up."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hwsim.study.calibrate.local.disk import BLOCKS, DEPTHS, DiskPoint, measure_disk
from hwsim.study.calibrate.local.gpu import measure_gpu
from hwsim.study.calibrate.local.host import SIZES, measure_copies, measure_products
from hwsim.units import format_quantity

COPIES = (1 << 20, 64 << 20)


@dataclass
class Machine:
    """Figures in base units."""

    date: str
    setup: str
    products: dict[int, float] = field(default_factory=dict)
    copies: dict[int, float] = field(default_factory=dict)
    disk: list[DiskPoint] = field(default_factory=list)
    gpu: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            "date": self.date,
            "setup": self.setup,
            "cpu": {
                "products_flops": {str(side): rate for side, rate in self.products.items()},
                "copy_bandwidth": {str(size): rate for size, rate in self.copies.items()},
            },
            "disk": [point._asdict() for point in self.disk],
            "gpu": self.gpu,
        }


def measure(folder: Path, *, quick: bool = True, progress: Callable[[float, str], None]) -> Machine:
    """Measure products, copies, the disk that ``folder`` is on, and a GPU; ``quick`` takes about ten seconds."""
    import numpy as np

    setup = f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}, numpy {np.__version__}"
    found = Machine(datetime.now(UTC).strftime("%Y-%m-%d"), setup)
    progress(0.0, "products")
    found.products = measure_products(SIZES if not quick else SIZES[:4], 0.3 if quick else 2.0)
    progress(0.2, "copies")
    found.copies = measure_copies(COPIES, 0.3 if quick else 2.0)
    progress(0.3, "disk")
    size, seconds = (64 << 20, 0.2) if quick else (1 << 30, 2.0)
    found.disk = measure_disk(folder, size=size, seconds=seconds, blocks=BLOCKS, depths=DEPTHS)
    progress(0.8, "GPU")
    found.gpu = measure_gpu()
    progress(1.0, "done")
    return found


def document(found: Machine) -> str:
    """YAML that a scenario's ``system`` can take figures from; every figure with a unit and how it was measured."""
    note = f"hwsim calibrate --local, {found.date}; {found.setup}"
    lines = [f"# Measured by {note}", "cpu:", "  peak:"]
    lines.append(_figure("    fp32", max(found.products.values()), "flop/s", f"best square product; {note}"))
    lines += ["  dram:"]
    lines.append(
        _figure("    bandwidth", found.copies[max(found.copies)], "bytes/s", f"copy, read and written; {note}")
    )
    lines += ["  products:  # float32, by side"]
    lines += [f"    {side}: {format_quantity(rate, 'flop/s')}" for side, rate in found.products.items()]
    lines += _disk(found.disk, note)
    if found.gpu is not None:
        lines += _gpu(found.gpu, note)
    return "\n".join(lines) + "\n"


def _figure(name: str, value: float, unit: str, source: str) -> str:
    return f'{name}: {{value: {format_quantity(value, unit)}, source: "{source}", status: FIT}}'


def _disk(points: list[DiskPoint], note: str) -> list[str]:
    if not points:
        return []
    way = "direct I/O" if points[0].direct else "through the page cache, direct I/O was refused"
    lines = [f"ssd:  # {way}"]
    for write, name in ((False, "read"), (True, "write")):
        mine = [point for point in points if point.write == write]
        lines.append(_figure(f"  {name}_bandwidth", max(p.bandwidth for p in mine), "bytes/s", f"best; {note}"))
        lines.append(f"  {name}_by_block_and_depth:")
        for point in mine:
            rate = format_quantity(point.bandwidth, "bytes/s")
            lines.append(f"  - {{block: {point.block >> 10} KiB, depth: {point.depth}, bandwidth: {rate}}}")
    return lines


def _gpu(found: dict[str, Any], note: str) -> list[str]:
    lines = [f"gpu:  # {found['name']}", f"  sms: {found['sms']}", "  hbm:"]
    lines.append(_figure("    bandwidth", found["copy_bandwidth"], "bytes/s", f"copy, read and written; {note}"))
    lines.append(_figure("  launch", found["launch"], "s", f"back-to-back launches; {note}"))
    lines.append("  products:  # bf16, m x n x k")
    lines += [f"    {shape}: {format_quantity(time, 's')}" for shape, time in found["products"].items()]
    lines.append("  attention:  # causal, 32 heads of 128, by tokens")
    lines += [f"    {tokens}: {format_quantity(time, 's')}" for tokens, time in found["attention"].items()]
    lines.append("  transfers:  # pinned memory, by bytes")
    for size, both in found["transfers"].items():
        times = ", ".join(f"{way}: {format_quantity(time, 's')}" for way, time in both.items())
        lines.append(f"    {size}: {{{times}}}")
    return lines
