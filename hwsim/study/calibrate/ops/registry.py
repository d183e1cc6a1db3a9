"""Which file knows which operation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwsim.cost.efficiency.relatives import Accelerator
from hwsim.study.calibrate import table
from hwsim.study.calibrate.ops import attention, collective, gemm, mla, moe
from hwsim.study.calibrate.sample import Sample
from hwsim.study.calibrate.table import Table

ALL = {op: module for module in (gemm, attention, mla, moe, collective) for op in module.OPS}


def columns(op: str) -> tuple[str, ...]:
    """What a table of this operation must have."""
    module = ALL[op]
    return module.columns(op) if hasattr(module, "columns") else module.COLUMNS


def read(path: Path) -> Table:
    """One table, checked."""
    name = table.split_name(path, ALL)
    assert name is not None
    return table.read(path, columns(name[1]), ALL)


def samples(found: Table, device: Accelerator) -> Iterator[Sample]:
    """The samples of a table, one per part of a section."""
    yield from ALL[found.op].samples(found, device)
