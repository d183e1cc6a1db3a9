"""The routers that a job names, made for its engines."""

from __future__ import annotations

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.scenario.job import ROUTERS, Job
from hwsim.scenario.schema.record import Kind
from hwsim.serving.gate import Gate
from hwsim.serving.routing import Router

GATES = Parts("hwsim.serving.policies.admission")


def router_of(job: Job, key: str, engines: int, seed: int) -> Router:
    """The router under ``serve.KEY`` for so many engines; they take turns if it names none."""
    parameters = getattr(job.serve, key)
    kind = parameters.kind if parameters is not None else "round_robin"
    if parameters is not None and kind == "slo_aware":
        parameters = limited(job, parameters, f"serve.{key}")
    return ROUTERS.get(kind)(parameters, engines, Stream(seed, f"{'' if job.only else job.name}/{key}"))


def gates_of(job: Job) -> tuple[Gate | None, Gate | None]:
    """Who admits at the prefill and at the decode side: limits on TTFT hold at the one, on TPOT at the other."""
    parameters = job.serve.admission
    assert parameters is not None
    make = GATES.get(parameters.kind)
    if parameters.kind != "slo":
        return make(parameters), None
    parameters = limited(job, parameters, "serve.admission")
    return make(parameters.model_copy(update={"tpot": None})), make(parameters.model_copy(update={"ttft": None}))


def limited(job: Job, parameters: Kind, key: str) -> Kind:
    """Parameters whose limits, where left out, are those of the job's ``slo``; none at all is an error."""
    slo = job.spec.slo
    limits = {
        name: getattr(slo, name, None)
        for name in ("ttft", "tpot")
        if getattr(parameters, name) is None and getattr(slo, name, None) is not None
    }
    found = parameters.model_copy(update=limits)
    if found.ttft is None and (found.tpot is None or parameters.kind == "slo_aware"):
        raise ScenarioError.of(
            f"{parameters.kind} has no limit on TTFT",
            where=job.where(job.path(key)),
            expected="ttft: 2 s, or slo: {ttft: 2 s}",
        )
    return found
