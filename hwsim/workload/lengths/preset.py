"""Lengths with the published statistics of a real trace, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hwsim.errors import ScenarioError, nearest
from hwsim.kernel.random import Stream
from hwsim.workload.lengths.empirical import from_quantiles

FOLDER = Path(__file__).parent.parent / "presets"


def names() -> list[str]:
    """The presets that there are: ``<trace>-input`` and ``<trace>-output`` of each file."""
    return sorted(f"{path.stem}-{side}" for path in FOLDER.glob("*.yaml") for side in ("input", "output"))


@cache
def preset(name: str) -> list[float]:
    """Quantiles at evenly spaced probabilities of the preset ``name``."""
    known = names()
    if name not in known:
        raise ScenarioError.of(
            "unknown preset", where="workload", got=name, expected=", ".join(known), nearest=nearest(name, known)
        )
    trace, _, side = name.rpartition("-")
    data = yaml.safe_load((FOLDER / f"{trace}.yaml").read_text(encoding="utf-8"))
    return [float(value) for value in data[f"{side}_quantiles"]]


def draw(parameters: Mapping[str, Any], stream: Stream, count: int, start: int, folder: Path) -> np.ndarray:
    """Piecewise linear between the preset's quantiles."""
    return from_quantiles(preset(str(parameters["name"])), stream.uniform(count, start))


PART = draw
