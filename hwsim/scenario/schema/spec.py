"""A whole scenario file: system, what runs on it, what arrives, and what is asked."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.goals import Claim, Condition, Slo, Study, Unscored
from hwsim.scenario.schema.graph import Graph
from hwsim.scenario.schema.hardware import System
from hwsim.scenario.schema.model import ModelChoice
from hwsim.scenario.schema.quantity import Name, Reader, Text
from hwsim.scenario.schema.record import Record
from hwsim.scenario.schema.serve import Cost, Serve
from hwsim.scenario.schema.short import Short
from hwsim.scenario.schema.train import Train
from hwsim.scenario.schema.workload import Workload
from hwsim.units import parse

LANGUAGE = 1


def _language(value: Any) -> int:
    if str(value).strip() != str(LANGUAGE):
        raise ValueError(f"language version {str(value)[:20]!r} is not known; expected {LANGUAGE}, the newest")
    return LANGUAGE


def _seed(value: Any) -> int:
    seed = int(parse(value, "count"))
    if seed >= 2**63:
        raise ValueError(f"{seed} is too large; expected a seed below 2^63")
    return seed


Language = Annotated[int, Reader(_language, {"enum": [LANGUAGE], "description": "version of the language"})]
Seed = Annotated[int, Reader(_seed, {"type": "integer", "minimum": 0})]


class Job(Record):
    """One thing that runs: ``serve``, ``train`` or ``graph``, with its model and workload."""

    model: Annotated[ModelChoice, Short("like")] | None = None
    serve: Serve | None = None
    train: Train | None = None
    graph: Graph | None = None
    workload: Workload | None = None
    cost: Cost | None = None
    slo: Slo | None = None

    @model_validator(mode="after")
    def _what_runs(self) -> Self:
        given = [name for name in ("serve", "train", "graph") if getattr(self, name) is not None]
        if len(given) > 1:
            text = f"has both {given[0]} and {given[1]}; expected one of them, or jobs by name"
            raise PydanticCustomError("value", "{text}", {"text": text})
        if not given and not getattr(self, "jobs", None):
            raise PydanticCustomError("value", "nothing runs here; expected serve, train, graph or jobs")
        if self.serve is not None and self.serve.cost is not None and self.cost is not None:
            raise PydanticCustomError("value", "has cost beside serve and inside it; expected it in one place")
        return self

    def prices(self) -> Cost | None:
        """The cost that is asked for, beside ``serve`` or inside it."""
        return self.cost if self.cost is not None or self.serve is None else self.serve.cost


class Spec(Job):
    """A scenario: three nouns (``system``, ``serve`` / ``train`` / ``graph``, ``workload``) and what surrounds them."""

    hwsim: Language = LANGUAGE
    name: Text | None = None
    description: Text | None = None
    cite: Text | None = None
    seed: Seed = 0
    system: System | None = None
    jobs: dict[Name, Job] | None = None
    assert_: list[Condition] | None = Field(None, alias="assert")
    study: Study | None = None
    claims: dict[Name, Claim] | None = None
    unscored: list[Unscored] | None = None

    def members(self) -> dict[str, Job]:
        """The jobs by name, each with the fields beside them as defaults; a single one is called ``job``."""
        if self.jobs is None:
            return {"job": self}
        return {name: job.under(self) for name, job in self.jobs.items()}
