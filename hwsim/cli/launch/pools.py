"""The pools of a scenario as a launch command needs them: the model, the role and the settings that were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

_ELSEWHERE = ("engine", "router", "handover", "local_prefill", "at", "role", "replicas", "pools", "cost")


@dataclass(frozen=True)
class Pool:
    """One pool: ``settings`` are those of ``serve`` and of the pool, as written."""

    title: str
    model: str
    dtype: str | None
    kv_cache_dtype: str | None
    role: str | None
    settings: dict[str, Any]

    def left(self, known: tuple[str, ...]) -> list[str]:
        """Settings for which a command has nothing."""
        return [name for name in self.settings if name not in known]


def pools(scenario: Scenario, where: str) -> Iterator[Pool]:
    """Every pool of every job that serves a model by name."""
    served = [(name, job) for name, job in scenario.spec.members().items() if job.serve is not None]
    if not served:
        raise ScenarioError.of("serves nothing", where=where, got=scenario.name, expected="a scenario with serve")
    for job_name, job in served:
        assert job.serve is not None
        model = job.model.given() if job.model is not None else {}
        if not model.get("like"):
            raise ScenarioError.of("names no model", where=where, got=scenario.name, expected="model: ID")
        members = job.serve.members()
        for name, pool in members.items():
            given = pool.given()
            settings = {key: value for key, value in given.items() if key not in _ELSEWHERE}
            yield Pool(
                _title(job_name if len(served) > 1 else "", name if len(members) > 1 else "", given),
                str(model["like"]),
                model.get("dtype") or model.get("quantization"),
                model.get("kv_cache_dtype"),
                given.get("role"),
                settings,
            )


def _title(job: str, pool: str, given: dict[str, Any]) -> str:
    copies = given.get("replicas", 1)
    words = [word for word in (job, pool and f"pool {pool}") if word]
    if copies == "rest":
        words.append("as many copies as the GPUs hold")
    elif copies != 1:
        words.append(f"{copies} copies, behind a router")
    return ", ".join(words)
