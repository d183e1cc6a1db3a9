"""A paper as a file: a scenario, a citation, its claims and what is left out; all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.study.arithmetic import Expression
from hwsim.study.quantities import STEPS, dimension, require
from hwsim.study.reproduce.figure import Figure, number, read_figure
from hwsim.study.solve import changed

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.schema.goals import Claim as Written

SCORED = ("prediction", "ratio")
TESTS = ("definition", "formula")
CLOSENESS = {"definition": 0.01, "formula": 0.01, "device": 0.15, "prediction": 0.15, "ratio": 0.15}
ORIGINS = ("given", "catalogue", "assumed")
SHIPPED = Path("scenarios") / "papers"


@dataclass
class Claim:
    """One claim, read: its formula, its figure, the scenarios it compares and what it needs."""

    name: str
    kind: str
    metric: str
    figure: Figure
    written: Written
    where: str
    scenario: Scenario
    baseline: Scenario | None
    later: bool
    needs: dict[str, str]
    tolerance: float
    readings: dict[str, Figure] = field(default_factory=dict)

    @property
    def assumed(self) -> list[str]:
        """The inputs that nobody gave."""
        return [name for name, origin in self.needs.items() if origin.startswith("assumed")]

    @property
    def unit(self) -> str:
        """The unit to print."""
        if self.written.unit:
            return self.written.unit
        return "x" if self.baseline is not None else ""

    @property
    def scale(self) -> float:
        """What one unit of the figure is in the unit of the metric."""
        if self.written.unit is None or self.baseline is not None or dimension(self.metric) is None:
            return 1.0
        return number(1, self.metric, self.written.unit, self.where)


@dataclass
class Paper:
    """A file of claims."""

    id: str
    path: Path
    cite: str
    description: str
    scenario: Scenario
    claims: list[Claim]
    unscored: list[dict[str, str]]


def paper_folders() -> list[Path]:
    """Where papers lie: below the working folder, and beside the package in a checkout."""
    places = [Path.cwd() / SHIPPED, Path(__file__).parents[3] / SHIPPED]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def papers() -> dict[str, Path]:
    """The papers that there are, by id."""
    found: dict[str, Path] = {}
    for folder in reversed(paper_folders()):
        found.update({path.stem: path for path in sorted(folder.glob("*.yaml")) if not path.stem.startswith("_")})
    return dict(sorted(found.items()))


def locate(name: str) -> Path:
    """The file of a paper, by id or as a path."""
    known = papers()
    if name in known:
        return known[name]
    path = Path(name)
    if path.is_file():
        return path
    raise ScenarioError.of(
        "no such paper or file",
        where="hwsim reproduce",
        got=name,
        expected="a file of claims or one of " + ", ".join(known) if known else "a file of claims",
        nearest=nearest(name, known),
    )


def load_paper(path: Path, sets: Iterable[str] = ()) -> Paper:
    """Read a file of claims; ``ScenarioError`` lists every claim that cannot be right."""
    from hwsim.scenario.load import load

    scenario = load(path, sets)
    written = scenario.spec.claims
    if not written:
        raise ScenarioError.of("has no claims", where=str(path), expected="claims: {name: {kind, metric, paper, …}}")
    claims: list[Claim] = []
    problems: list[Problem] = []
    bare = scenario.changed({"claims": None, "unscored": None}, "claims")
    for name, item in written.items():
        try:
            where = scenario.origin(f"claims.{name}") or f"{path}: claims.{name}"
            claims.append(_claim(bare, where, name, item))
        except ScenarioError as error:
            problems.extend(error.problems)
    problems += _anchors(claims)
    if problems:
        raise ScenarioError(problems)
    unscored = [item.model_dump() for item in scenario.spec.unscored or ()]
    spec = scenario.spec
    return Paper(path.stem, path, spec.cite or "", spec.description or "", scenario, claims, unscored)


def _claim(scenario: Scenario, where: str, name: str, item: Written) -> Claim:
    formula = Expression(item.metric, where)
    formula.check(STEPS)
    for text in [*formula.names, *(Expression(item.ideal, where).names if item.ideal else ())]:
        require(text, where)
    if item.paper is None:
        raise ScenarioError.of(f"{name} has no figure", where=where, expected="paper: NUMBER")
    if item.kind in ("anchor", "implied") and (item.unknown is None or item.range is None):
        raise ScenarioError.of(f"{name} names no unknown", where=where, expected="unknown: PATH and range: LOW..HIGH")
    if item.kind == "ratio" and item.over is None:
        raise ScenarioError.of(f"{name} is over nothing", where=where, expected="over: {path: value}")
    metric = formula.name or ""
    figure = read_figure(item.paper, "" if item.over is not None else metric, item.unit, where)
    _fits_kind(item, figure, name, where)
    needs = {key: str(text) for key, text in (item.needs or {}).items()}
    for key, text in needs.items():
        word = text.split(":")[0].split()[0] if text.split() else ""
        if word not in ORIGINS:
            raise ScenarioError.of(
                f"needs.{key} does not say where it comes from",
                where=where,
                got=repr(text[:40]),
                expected="given, catalogue or assumed",
                nearest=nearest(word, ORIGINS),
            )
    point = changed(scenario, item.set, f"claim {name}")
    baseline = changed(point, item.over, f"claim {name}") if item.over is not None else None
    tolerance = item.tolerance if item.tolerance is not None else CLOSENESS.get(item.kind, 0.0)
    readings = {key: read_figure(raw, metric, item.unit, where) for key, raw in (item.readings or {}).items()}
    return Claim(
        name, item.kind, item.metric, figure, item, where, point, baseline, _later(where), needs, tolerance, readings
    )


def _fits_kind(item: Written, figure: Figure, name: str, where: str) -> None:
    if item.kind in ("order", "bound") and figure.number is not None:
        raise ScenarioError.of(
            f"{name} is no condition", where=where, got=repr(item.paper), expected="such as '> 1', 1..2 or increasing"
        )
    if item.kind not in ("order", "bound") and figure.number is None:
        raise ScenarioError.of(f"{name} is no number", where=where, got=repr(item.paper), expected="a number")
    if figure.shape and len(item.grid or {}) != 1:
        raise ScenarioError.of(f"{name} needs a grid of one path", where=where, expected="grid: {path: values}")


def _later(where: str) -> bool:
    """Whether a claim stands outside the papers that were there while hwsim was built."""
    file = Path(where.rsplit(":", 2)[0]).resolve()
    return not any(folder.resolve() in file.parents for folder in paper_folders())


def _anchors(claims: list[Claim]) -> list[Problem]:
    """At most one anchor per unknown, none in a scored configuration, never more than scored claims."""
    from hwsim.study.points import key

    problems: list[Problem] = []
    anchors = [claim for claim in claims if claim.kind == "anchor"]
    scored = [claim for claim in claims if claim.kind in SCORED]
    seen: dict[Any, str] = {}
    for anchor in anchors:
        unknown = anchor.written.unknown
        if unknown in seen:
            what = f"{anchor.name} fixes {unknown}, which {seen[unknown]} fixes already"
            problems.append(Problem(what, anchor.where, expected="at most one anchor per unknown"))
        seen[unknown] = anchor.name
        for claim in scored:
            if claim.metric == anchor.metric and key(claim.scenario) == key(anchor.scenario):
                what = f"{anchor.name} is measured where {claim.name} is scored"
                problems.append(Problem(what, anchor.where, expected="another configuration"))
    if len(anchors) > len(scored):
        what = f"{len(anchors)} anchors for {len(scored)} scored claims"
        problems.append(Problem(what, anchors[0].where, expected="no more anchors than scored claims"))
    return problems
