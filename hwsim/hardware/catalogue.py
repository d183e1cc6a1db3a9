"""The catalogue: one YAML per product; names and aliases, and the figures of a file checked one by one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.hardware.curve import Curve, is_curve
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
    "fpga": "fpga",
}
PLAIN = ("name", "like", "kind", "architecture", "aliases", "sources", "count", "bridge", "raid", *ROLES)
SHORT = {"memory": "hbm", "l2": "l2"}  # other names of groups of figures


@cache
def load(path: Path) -> dict[str, Any]:
    """The mapping in a product's file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


OUTSIDE = Parts("hwsim.hardware.catalog")  # products from outside: ``--parts DIR`` with DIR/hardware/catalog/*.yaml


def files() -> dict[str, Path]:
    """Files by case-folded product name: those of the catalogue, then those of folders from outside."""
    return _listed((FOLDER, *(folder for folder in OUTSIDE.folders() if folder != FOLDER)))


@cache
def _listed(folders: tuple[Path, ...]) -> dict[str, Path]:
    paths = (path for folder in folders for path in sorted(folder.glob("*.yaml")))
    return {path.stem.casefold(): path for path in paths if not path.stem.startswith("_")}


def names(kind: str | None = None) -> list[str]:
    """Names of all products, or of those of one kind."""
    every = (load(path) for path in files().values())
    return sorted(entry["name"] for entry in every if kind is None or entry["kind"] == kind)


def _aliases() -> dict[str, Path]:
    return _aliases_in(tuple(files().values()))


@cache
def _aliases_in(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Files by alias, from their ``aliases:`` lines alone: reading every file as YAML would take longer than a run."""
    found: dict[str, Path] = {}
    for path in paths:
        line = next((line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("aliases:")), "")
        found |= {alias.strip(): path for alias in line.partition("[")[2].partition("]")[0].split(",") if alias.strip()}
    return found


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
    aliases = _aliases()
    if key in aliases:
        return load(aliases[key])
    known = [*names(), *aliases]
    raise ScenarioError.of(
        "unknown product",
        where=where,
        got=name,
        expected="one of " + ", ".join(names()),
        nearest=nearest(name, known),
    )


class Sheet(NamedTuple):
    """What a mapping states of a device: numbers and curves by dotted name."""

    figures: dict[str, Figure]
    curves: dict[str, Curve]


def sheet(
    entry: Mapping[str, Any],
    kind: str,
    *,
    where: str,
    sources: Mapping[str, str] | None = None,
    given: bool = False,
) -> Sheet:
    """The figures and curves of a mapping by dotted name.

    In a catalogue every figure is ``{value, source, status}`` with a unit, and every curve its columns with ``source``
    and ``status``; ``given`` ones come from a scenario: plain values, text with a unit or numbers in base units.  All
    problems of the mapping raise one ``ScenarioError``.
    """
    dimensions: dict[str, str] = KINDS.get(kind)
    found = Sheet({}, {})
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
            plain = value if is_curve(dimensions[name]) else value.get("value")
            _keep(found, name, plain, dimensions[name], long, status, place, problems)
    if problems:
        raise ScenarioError(problems)
    return found


def _keep(
    found: Sheet,
    name: str,
    value: object,
    dimension: str,
    source: str,
    status: str,
    place: str,
    problems: list[Problem],
) -> None:
    bare = status == "GIVEN"
    try:
        if is_curve(dimension):
            columns = dict(value) if isinstance(value, Mapping) else {}
            points = {key: column for key, column in columns.items() if key not in ("source", "status")}
            found.curves[name] = Curve.of(dimension, points, source, status, bare=bare)
        else:
            found.figures[name] = Figure(parse(value, dimension, bare=bare), dimension, source, status)
    except ValueError as error:
        problems.append(Problem(str(error), place))


def _flat(entry: Mapping[str, Any], dimensions: Mapping[str, str]) -> list[tuple[str, Any]]:
    """Dotted names with their values; one rental price stands for low, median and high."""
    flat: list[tuple[str, Any]] = []
    for key, value in entry.items():
        if value is None or (key in PLAIN and key not in dimensions and f"{key}.bandwidth" not in dimensions):
            continue
        group = SHORT.get(key, key)
        if is_curve(dimensions.get(group, "")):
            flat.append((group, value))
        elif key == "hourly_price" and not isinstance(value, Mapping):
            flat += [(f"hourly_price.{part}", value) for part in ("low", "median", "high")]
        elif isinstance(value, Mapping) and "value" not in value:
            inner = [(f"{group}.{part}", inner) for part, inner in value.items() if inner is not None]
            flat += inner
        else:
            flat.append((group, value))
    return flat
