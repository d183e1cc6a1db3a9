"""What a measuring tool found of one device, and the catalogue file that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.hardware import catalogue
from hwsim.hardware.curve import Shape, is_curve
from hwsim.hardware.find import find_device
from hwsim.part import Parts
from hwsim.units import format_quantity

READERS = Parts("hwsim.study.calibrate.readers")
_SMALL = {"J/flop": "pJ/FLOP", "J/bytes": "pJ/B"}
Points = list[tuple[float, ...]]


@dataclass
class Measured:
    """Figures (base units) and points of curves of a device ``kind``, by the names that the kind states."""

    kind: str
    tool: str
    figures: dict[str, float] = field(default_factory=dict)
    points: dict[str, Points] = field(default_factory=dict)


def read(path: Path) -> Measured:
    """What the file of a measuring tool says, whichever tool it is; unknown and damaged files are refused."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError.of("cannot read the measurement", where="--from", got=str(path)) from error
    for name in READERS.names():
        module = READERS.module(name)
        if module.claims(text):
            try:
                found: Measured = module.PART(text)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise ScenarioError.of(f"a damaged {name} result: {error}", where=str(path)) from error
            if not found.figures and not found.points:
                raise ScenarioError.of(f"a {name} result without anything measured", where=str(path))
            return found
    raise ScenarioError.of(
        "no known tool wrote this",
        where=str(path),
        expected="output of " + ", ".join(READERS.names()),
    )


def device_yaml(found: Measured, name: str, source: str, like: str | None = None) -> str:
    """A catalogue file: the product it is ``like`` with what was measured in place of its figures."""
    dimensions: dict[str, str] = catalogue.KINDS.get(found.kind)
    lines = [f"# {name}: measured with {found.tool}.", f"name: {name}", f"kind: {found.kind}"]
    rows: dict[str, str] = {}
    if like is not None:
        base = find_device(like, found.kind, where="--like")
        if base.architecture:
            lines.append(f"architecture: {base.architecture}")
        for key, figure in base.figures.items():
            rows[key] = _figure(figure.value, figure.dimension, figure.source, figure.status)
        for key, curve in base.curves.items():
            points = [
                (x, *([q] if len(curve.shape.axes) == 2 else []), y) for q, s in curve.series.items() for x, y in s
            ]
            rows[key] = _curve(points, dimensions[key], curve.source, curve.status)
    for key, value in found.figures.items():
        rows[key] = _figure(value, dimensions[key], source, "SEEN")
    for key, points in found.points.items():
        rows[key] = _curve(points, dimensions[key], source, "SEEN")
    lines.append("aliases: []")
    return "\n".join([*lines, *_nested(rows)]) + "\n"


def _nested(rows: Mapping[str, str]) -> list[str]:
    """Dotted names as groups; names without a dot first."""
    groups: dict[str, list[str]] = {}
    lines: list[str] = []
    for key, text in rows.items():
        first, dot, rest = key.partition(".")
        if dot:
            groups.setdefault(first, []).append(f"  {rest}: {text}")
        else:
            lines.append(f"{key}: {text}")
    return lines + [line for group, inner in groups.items() for line in (f"{group}:", *inner)]


def _figure(value: float, dimension: str, source: str, status: str) -> str:
    return f'{{value: {_quantity(value, dimension)}, source: "{source}", status: {status}}}'


def _curve(points: Points, text: str, source: str, status: str) -> str:
    assert is_curve(text)
    columns = Shape.of(text).columns
    ordered = sorted(points, key=lambda point: (point[1:-1], point[0]))
    parts = [
        f"{name}: [{', '.join(_quantity(point[place], dimension) for point in ordered)}]"
        for place, (name, dimension) in enumerate(columns)
    ]
    return "{" + ", ".join(parts) + f', source: "{source}", status: {status}}}'


def _quantity(value: float, dimension: str) -> str:
    """A number with its unit, precise enough to read back to six digits."""
    if dimension == "bytes" and value == int(value) and int(value) % 1024 == 0:
        return f"{int(value) // 1024} KiB"
    if dimension in _SMALL:
        return f"{value * 1e12:.6g} {_SMALL[dimension]}"
    return format_quantity(value, dimension, 6)


def rising(points: Points) -> Points:
    """Points of a curve in order of the first column, one for each value of the axes (the last one measured)."""
    found: dict[tuple[float, ...], tuple[float, ...]] = {point[:-1]: point for point in points}
    return sorted(found.values(), key=lambda point: (point[1:-1], point[0]))


def number(value: Any, what: str) -> float:
    """A positive number of a measurement, or ``ValueError``."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {value!r}, not a number") from None
    if not found > 0:
        raise ValueError(f"{what} is {value}, not above zero")
    return found
