"""The catalogue: one YAML per product; names and aliases, and the figures of a file checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.hardware.device import STATUSES, Figure
from hwsim.part import Parts
from hwsim.units import parse

FOLDER = Path(__file__).parent / "catalog"
KINDS = Parts("hwsim.hardware.kinds")
ROLES = {  # what a node holds, and the kind of product that fills it
    "gpu": "gpu",
    "cpu": "cpu",
    "dram": "dram",
    "cxl": "cxl",
    "ssd": "ssd",
    "flash": "ssd",
    "nic": "nic",
    "npu": "npu",
    "fpga": "npu",
}
PLAIN = ("name", "like", "kind", "architecture", "aliases", "sources", "count", "bridge", "raid", *ROLES)
SHORT = {"memory": "hbm", "l2": "l2"}  # other names of groups of figures


@cache
def load(path: Path) -> dict[str, Any]:
    """The mapping in a product's file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


@cache
def files() -> dict[str, Path]:
    """Files by case-folded product name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml")) if not path.stem.startswith("_")}


def names(kind: str | None = None) -> list[str]:
    """Names of all products, or of those of one kind."""
    every = (load(path) for path in files().values())
    return sorted(entry["name"] for entry in every if kind is None or entry["kind"] == kind)


def product(name: str, *, where: str = "like") -> dict[str, Any]:
    """The entry of a product by name or alias.

    A short name that stands for several products with different numbers, and an unknown one, raise ``ScenarioError``.
    """
    key = name.strip().casefold().replace(" ", "-")
    if key in files():
        return load(files()[key])
    ambiguous = load(FOLDER / "_ambiguous.yaml")
    if key in ambiguous:
        raise ScenarioError.of(
            f"{name} comes in several forms with different numbers",
            where=where,
            got=name,
            expected="one of " + ", ".join(ambiguous[key]),
        )
    entries = [load(path) for path in files().values()]
    aliases = {str(alias): entry for entry in entries for alias in entry["aliases"]}
    if key in aliases:
        return aliases[key]
    known = [*names(), *aliases]
    raise ScenarioError.of(
        "unknown product",
        where=where,
        got=name,
        expected="one of " + ", ".join(names()),
        nearest=nearest(name, known),
    )


def figures(
    entry: Mapping[str, Any],
    kind: str,
    *,
    where: str,
    sources: Mapping[str, str] | None = None,
    given: bool = False,
) -> dict[str, Figure]:
    """The figures of a mapping by dotted name.

    In a catalogue every figure is ``{value, source, status}`` with a unit; ``given`` ones come from a scenario: plain
    values, text with a unit or numbers in base units.  All problems of the mapping raise one ``ScenarioError``.
    """
    dimensions: dict[str, str] = KINDS.get(kind)
    found: dict[str, Figure] = {}
    problems: list[Problem] = []
    for name, value in _flat(entry, dimensions):
        place = f"{where}.{name}"
        if name not in dimensions:
            problems.append(
                Problem(
                    f"a {kind} has no such figure",
                    place,
                    expected="one of " + ", ".join(dimensions),
                    nearest=nearest(name, dimensions),
                )
            )
        elif given:
            _keep(found, name, value, dimensions[name], "scenario", "GIVEN", place, problems)
        elif not isinstance(value, Mapping):
            problems.append(Problem("a figure without source", place, repr(value), "{value, source, status}"))
        else:
            source = str(value.get("source") or "")
            status = str(value.get("status") or "")
            if not source:
                problems.append(Problem("no source", place, expected="where the figure was read"))
            if status not in STATUSES:
                problems.append(Problem("no status", place, status, "one of " + ", ".join(STATUSES)))
            long = (sources or {}).get(source, source)
            _keep(found, name, value.get("value"), dimensions[name], long, status, place, problems)
    if problems:
        raise ScenarioError(problems)
    return found


def _keep(
    found: dict[str, Figure],
    name: str,
    value: object,
    dimension: str,
    source: str,
    status: str,
    place: str,
    problems: list[Problem],
) -> None:
    try:
        number = parse(value, dimension, bare=status == "GIVEN")
    except ValueError as error:
        problems.append(Problem(str(error), place))
    else:
        found[name] = Figure(number, dimension, source, status)


def _flat(entry: Mapping[str, Any], dimensions: Mapping[str, str]) -> list[tuple[str, Any]]:
    """Dotted names with their values; one rental price stands for low, median and high."""
    flat: list[tuple[str, Any]] = []
    for key, value in entry.items():
        if value is None or (key in PLAIN and key not in dimensions and f"{key}.bandwidth" not in dimensions):
            continue
        group = SHORT.get(key, key)
        if key == "hourly_price" and not isinstance(value, Mapping):
            flat += [(f"hourly_price.{part}", value) for part in ("low", "median", "high")]
        elif isinstance(value, Mapping) and "value" not in value:
            flat += [(f"{group}.{part}", inner) for part, inner in value.items() if inner is not None]
        else:
            flat.append((group, value))
    return flat
