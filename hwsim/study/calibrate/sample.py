"""Rows of one law: its arguments as columns, the measured seconds, the shape family of each row, and what to score."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FOLDS = 5  # every fifth family is left out of the fit


@dataclass(frozen=True)
class Sample:
    """Measured rows of one part of one section (``gemm.bf16``).

    ``predict(law, arguments)`` gives seconds.  ``family`` names each row's shape family: families whose hash is 0 of
    :data:`FOLDS` are left out of the fit.  ``fitted`` marks rows that a fit may use; ``cases`` are subsets to score
    by name (all rows when empty).  ``fixed`` names coefficients that these rows say nothing about; those in
    ``then`` are fitted at the end, the others on the rows of ``first`` alone.
    """

    section: str
    part: str
    kind: type[Any]
    arguments: Mapping[str, np.ndarray]
    seconds: np.ndarray
    family: np.ndarray
    predict: Callable[[Any, Mapping[str, np.ndarray]], np.ndarray]
    software: str = ""
    file: str = ""
    dtype: str = ""
    fitted: np.ndarray | None = None
    cases: Mapping[str, np.ndarray] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    first: np.ndarray | None = None
    then: tuple[str, ...] = ()

    @property
    def held(self) -> np.ndarray:
        """Rows of the families that no fit sees."""
        return held(self.family)

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arguments of some rows."""
        return {name: column[rows] for name, column in self.arguments.items()}


def families(*columns: np.ndarray) -> np.ndarray:
    """A text per row that names its family, from whole numbers or words."""
    words = [column.astype(str) if column.dtype.kind in "UO" else column.astype(int).astype(str) for column in columns]
    found = words[0]
    for more in words[1:]:
        found = np.char.add(np.char.add(found, "x"), more)
    return found


def held(family: np.ndarray) -> np.ndarray:
    """Whether each family's CRC-32 is 0 modulo :data:`FOLDS`: the committed rule of what a fit never sees."""
    names, index = np.unique(family, return_inverse=True)
    left_out = np.array([zlib.crc32(str(name).encode()) % FOLDS == 0 for name in names])
    return left_out[index]
