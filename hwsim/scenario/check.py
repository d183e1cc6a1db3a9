"""Does a scenario fit, how many sequences at which context, and what could it reach at best, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError
from hwsim.scenario.machine import Machine, machines
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

CONTEXTS = (1024, 4096, 16384, 65536, 131072)


@dataclass
class Check:
    """What can be said of a scenario without running it; ``problems`` are reasons why it cannot serve."""

    name: str
    facts: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """One object, figures in base units."""
        return {"name": self.name, **self.facts, "problems": self.problems}

    def lines(self) -> list[str]:
        """The same for a person."""
        facts = self.facts
        if facts.get("not_built"):
            return [f"{self.name}: valid; not built yet: {', '.join(facts['not_built'])}"]
        if "graph" in facts:
            return [f"{self.name}: valid, run as task graphs", *[f"  {line}" for line in facts["lines"]]]
        out = [f"{self.name}: valid, engine {facts['engine']}"]
        pools = facts.get("pools")
        if pools is None:
            return out + _lines(facts)
        for name, pool in pools.items():
            out += [f"  {name}:", *(f"  {line}" for line in _lines(pool))]
        return out


def _lines(facts: dict[str, Any]) -> list[str]:
    """What can be said of one pool."""
    if "memory" not in facts:
        return ["  constant cost: no machine to check against"]
    out = [f"  {facts['model']} on {facts['replicas']} x {facts['tensor_parallel_size']} {facts['gpu']}"]
    parts = ", ".join(f"{name} {format_quantity(size, 'bytes')}" for name, size in facts["memory"].items())
    out.append(f"  per GPU: {parts}")
    out.append(f"  KV pool: {facts['num_gpu_blocks']:,} blocks of {facts['block_size']}, {facts['kv_tokens']:,} tokens")
    fits = ", ".join(f"{count:,} at {length:,}" for length, count in facts["sequences_at_context"].items())
    out.append(f"  sequences that fit at once: {fits} tokens (max_num_seqs {facts['max_num_seqs']})")
    tpot, ttft = facts["least_tpot_s"], facts["least_ttft_s"]
    out.append(f"  least TPOT at peak rates: {tpot * 1e3:.2f} ms ({facts['tpot_by']}; one sequence of 1,024 tokens)")
    out.append(f"  least TTFT at peak rates: {ttft * 1e3:.2f} ms ({facts['ttft_by']}; a prompt of 1,024 tokens)")
    return out


def check(scenario: Scenario) -> Check:
    """Resolve a scenario as far as it can be; ``ScenarioError`` and ``FitError`` as ``run`` would raise them."""
    if scenario.spec.graph is not None:
        from hwsim.scenario.graph.run import graph_facts

        return Check(scenario.name, graph_facts(scenario))
    from hwsim.scenario.offline import is_offline, offline_facts

    if is_offline(scenario):
        return Check(scenario.name, offline_facts(scenario))
    try:
        found = machines(scenario)
    except ScenarioError as error:
        missing = [p.what.removeprefix("not built yet: ") for p in error.problems if p.what.startswith("not built yet")]
        if missing and len(missing) == len(error.problems):
            return Check(scenario.name, {"not_built": missing})
        raise
    facts = _facts(found[0])
    if len(found) > 1:
        facts["pools"] = {pool.name: _facts(pool) for pool in found}
    if scenario.spec.workload is not None and scenario.spec.workload.trace is not None:
        from hwsim.workload.trace import locate

        facts["trace"] = str(locate(scenario.spec.workload.trace, scenario.folder("workload.trace")).name)
    return Check(scenario.name, facts)


def _facts(found: Machine) -> dict[str, Any]:
    settings, room = found.settings, found.room
    facts: dict[str, Any] = {"engine": found.profile.name, "max_num_seqs": settings["max_num_seqs"]}
    if room is None or found.shard is None or found.device is None or found.model is None:
        return facts
    from hwsim.cost.bounds import bounds

    least = bounds(found.shard, found.device, context=1024, rows=1)
    tokens = (room.num_gpu_blocks - 1) * settings["block_size"]
    return facts | {
        "model": found.model.hf_id,
        "gpu": found.device.name,
        "replicas": found.engines,
        "tensor_parallel_size": found.tensor_parallel_size,
        "gpus_owned": found.gpus_owned,
        "gpus_used": found.gpus_used,
        "memory": room.owners(),
        "num_gpu_blocks": room.num_gpu_blocks,
        "block_size": settings["block_size"],
        "kv_tokens": tokens,
        "max_model_len": settings["max_model_len"],
        "sequences_at_context": {
            length: min(tokens // length, settings["max_num_seqs"])
            for length in CONTEXTS
            if length <= settings["max_model_len"]
        },
        "least_tpot_s": least.tpot_s,
        "tpot_by": least.tpot_by,
        "least_ttft_s": least.ttft_s,
        "ttft_by": least.ttft_by,
    }
