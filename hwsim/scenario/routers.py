"""The routers that a job names, made for its engines."""

from __future__ import annotations

from hwsim.kernel.random import Stream
from hwsim.scenario.job import ROUTERS, Job
from hwsim.serving.routing import Router


def router_of(job: Job, key: str, engines: int, seed: int) -> Router:
    """The router under ``serve.KEY`` for so many engines; they take turns if it names none."""
    parameters = getattr(job.serve, key)
    kind = parameters.kind if parameters is not None else "round_robin"
    return ROUTERS.get(kind)(parameters, engines, Stream(seed, f"{'' if job.only else job.name}/{key}"))
