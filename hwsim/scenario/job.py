"""The jobs of a scenario: what is written under ``jobs.NAME`` with the fields beside ``jobs`` as defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, ScenarioError
from hwsim.part import Parts
from hwsim.scenario.tier_rules import kv_rule
from hwsim.scenario.tier_rules import problems as tier_problems

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.schema.serve import Engine, Serve
    from hwsim.scenario.schema.spec import Job as Spec

ROUTERS = Parts("hwsim.serving.policies.router")
NOT_BUILT = {
    "speculate": "speculation",
    "execute": "execution patterns",
}


@dataclass(frozen=True)
class Job:
    """One serving job.  ``spec``: its own fields over the common ones; ``tree``: the same as it was written."""

    name: str
    spec: Spec
    tree: Mapping[str, Any]
    scenario: Scenario
    only: bool  # the scenario has no ``jobs:``

    @property
    def serve(self) -> Serve:
        """What serves in this job."""
        assert self.spec.serve is not None
        return self.spec.serve

    @property
    def pools(self) -> dict[str, Engine]:
        """Its pools by name."""
        return self.serve.members()

    def path(self, key: str) -> str:
        """The dotted path under which ``key`` of this job is written."""
        if self.only:
            return key
        own = f"jobs.{self.name}.{key}"
        return own if self.scenario.origin(own) or not self.scenario.origin(key) else key

    def pool_path(self, pool: str, key: str) -> str:
        """The dotted path of a field of one of its pools."""
        if self.serve.pools is None:
            return self.path(f"serve.{key}")
        own = self.path(f"serve.pools.{pool}.{key}")
        return own if self.scenario.origin(own) else self.path(f"serve.{key}")

    def where(self, path: str) -> str:
        """Where a dotted path stands in the file, or the path itself."""
        return self.scenario.origin(path) or path

    def folder(self, key: str) -> Path:
        """The folder that a file name under ``key`` is relative to."""
        return self.scenario.folder(self.path(key))


def jobs(scenario: Scenario) -> list[Job]:
    """All jobs that serve; whatever cannot be simulated yet raises ``ScenarioError``, all problems at once."""
    spec, tree = scenario.spec, scenario.tree
    common = {key: value for key, value in tree.items() if key not in ("jobs", "system", "study", "claims")}
    found, problems = [], []
    for name, member in spec.members().items():
        own = (tree.get("jobs") or {}).get(name) or {}
        job = Job(name, member, _over(common, own), scenario, spec.jobs is None)
        problems += _problems(job)
        found.append(job)
    if problems:
        raise ScenarioError(problems)
    return found


def _over(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _problems(job: Job) -> list[Problem]:
    for what in ("train", "graph"):
        if getattr(job.spec, what) is not None:
            return [Problem(f"not built yet: {what}", where=job.where(job.path(what)))]
    problems = []
    for pool, fields in job.pools.items():
        problems += [
            Problem(f"not built yet: {text}", where=job.where(job.pool_path(pool, name)))
            for name, text in NOT_BUILT.items()
            if getattr(fields, name) is not None
        ]
        problems += tier_problems(job, pool, fields)
        if job.spec.workload is not None and any(s.memories is not None for s in job.spec.workload.members().values()):
            from hwsim.scenario.injection import problems as injection_problems

            problems += injection_problems(job, pool)
        if fields.kv_allocation is not None:
            from hwsim.scenario.kv_allocation import problems as allocation_problems

            problems += allocation_problems(job, pool, fields)
        if any(other.kv_transform is not None for other in job.pools.values()):
            from hwsim.scenario.kv_transforms import problems as transform_problems

            problems += transform_problems(job, pool, fields)
    problems += _role_problems(job)
    if job.serve.lora is not None or (job.spec.workload is not None and job.spec.workload.adapters is not None):
        from hwsim.scenario.lora import problems as lora_problems

        problems += lora_problems(job)
    serve = job.serve
    if serve.handover is not None:
        tiered = any(kv_rule(fields) is not None for fields in job.pools.values())
        watched = serve.router is not None and serve.router.kind == "kv_aware"
        in_place = serve.handover.kind == "in_place"
        beside = "pools on the same GPUs" if in_place else "tiers and a hand-over" if tiered else "router kv_aware"
        problems += [
            Problem(f"not built yet: {key} with {beside}", where=job.where(job.path(f"serve.{key}")))
            for key in ("autoscale", "faults", "admission")
            if (in_place or (key != "admission" and (tiered or watched)))
            and any(getattr(fields, key, None) is not None for fields in (serve, *job.pools.values()))
        ]
    for key in ("router", "decode_router"):
        router = getattr(serve, key)
        if router is not None and router.kind not in ROUTERS:
            where = job.where(job.path(f"serve.{key}"))
            problems.append(Problem(f"not built yet: router {router.kind}", where=where))
    return list({str(problem): problem for problem in problems}.values())


def _role_problems(job: Job) -> list[Problem]:
    """Roles come in pairs, with a way for the KV from one to the other."""
    serve = job.serve
    roles = {fields.role or "both" for fields in job.pools.values()}
    where = job.where(job.path("serve.pools"))
    if roles == {"both"}:
        own = [name for name, pool in (serve.pools or {}).items() if pool.autoscale is not None]
        return [
            Problem("autoscale of one pool goes with roles", job.where(job.pool_path(name, "autoscale")), expected=says)
            for name, says in ((name, "serve.autoscale, for all replicas together") for name in own)
        ] + [
            Problem(f"{key} is there, but no pool has a role", job.where(job.path(f"serve.{key}")), expected=expected)
            for key, expected in (
                ("handover", "pools with role: prefill and role: decode"),
                ("local_prefill", "pools with role: prefill and role: decode"),
                ("decode_router", "pools with role: prefill and role: decode, or router alone"),
            )
            if getattr(serve, key) is not None
        ]
    if roles != {"prefill", "decode"}:
        got = ", ".join(sorted(roles))
        return [Problem("the roles of the pools do not go together", where, got, "prefill and decode, or none")]
    if serve.handover is None:
        return [Problem("pools have roles, but there is no hand-over", where, expected="handover: nixl")]
    return _place_problems(job)


def _place_problems(job: Job) -> list[Problem]:
    """Pools side by side are one of each role and alike; a split of SMs is for them alone."""
    serve, pools = job.serve, list(job.pools.values())
    where = job.where(job.path("serve.handover"))
    if serve.handover is None or serve.handover.kind != "in_place":
        if serve.split is None:
            return []
        return [
            Problem(
                "split is for pools on the same GPUs", job.where(job.path("serve.split")), expected="handover: in_place"
            )
        ]
    sizes = {(pool.tensor_parallel_size, pool.pipeline_parallel_size, pool.data_parallel_size) for pool in pools}
    if len(pools) != 2 or len(sizes) > 1:
        return [
            Problem(
                "pools on the same GPUs differ in their parallelism, or are not two",
                where,
                expected="one of each role, alike",
            )
        ]
    if serve.split is None:
        return [
            Problem(
                "pools on the same GPUs need a split of the SMs", where, expected="split: {kind: fixed, prefill: 50 %}"
            )
        ]
    if serve.local_prefill is not None or serve.decode_router is not None:
        return [
            Problem(
                "what is prefilled on a GPU is decoded there", where, expected="no local_prefill and no decode_router"
            )
        ]
    return []
