"""What a step of a pool's engines costs: the law that the scenario asks for, on the pool's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.scenario.machine import Machine


def pricer(machine: Machine) -> Any:
    """The pricer that all engines of a pool share."""
    cost = machine.fields.cost or machine.job.spec.prices()
    if cost is not None and machine.constant_cost:
        from hwsim.cost.constant import ConstantPricer

        return ConstantPricer(ticks(cost.step), ticks(cost.host))
    if cost is not None and cost.kind == "fitted":
        return _fitted(cost)
    from hwsim.cost.roofline import RooflinePricer
    from hwsim.cost.stages import PipelinePricer

    assert machine.shard is not None and machine.device is not None and machine.efficiency is not None
    settings = machine.settings
    kind = PipelinePricer if machine.shard.layout.pipeline_parallel_size > 1 else RooflinePricer
    made = kind(
        machine.shard,
        machine.device,
        machine.efficiency,
        capture_sizes=settings["capture_sizes"],
        prompts_in_graphs=machine.profile.graph.get("prompts", True),
        host_base=machine.profile.host["base"],
        host_per_row=machine.profile.host["per_row"],
        host_per_kernel=machine.profile.host.get("per_kernel"),
        host_per_layer=machine.profile.host_per_layer,
        kernel_start=machine.profile.kernel_start,
        fused=machine.profile.graph.get("fused", ()),
        max_model_len=settings["max_model_len"],
        expert_load=_expert_load(machine),
        gpus_per_node=machine.node.gpus if machine.node is not None else None,
    )
    if machine.fields.kv_transform is not None:
        from hwsim.scenario.kv_transforms import fetch_work

        fetch = fetch_work(machine)
        if fetch is not None:
            from hwsim.cost.fetched import FetchPricer

            made = FetchPricer(made, fetch)
    if machine.job.serve.lora is None or machine.model is None:
        return made
    from hwsim.cost.adapters import AdapterPricer
    from hwsim.scenario.lora import work

    launch = 0.0 if "launch" in machine.device.ideal else machine.efficiency.launch.graph
    ranks, stages = machine.tensor_parallel_size, machine.shard.layout.pipeline_parallel_size
    return AdapterPricer(made, work(machine.job, machine.model, machine.device, launch, ranks, stages))


def _fitted(cost: Any) -> Any:
    from hwsim.cost.fitted import Decode, FittedPricer, Prefill

    laws = [(cost.decode, 0), *([(cost.large, cost.large.rows)] if cost.large is not None else [])]
    return FittedPricer(
        Prefill(cost.prefill.fixed, cost.prefill.per_token, cost.prefill.per_token_squared),
        [Decode(law.fixed, law.per_context_token, law.per_row, rows) for law, rows in laws],
        cost.host,
    )


def _expert_load(machine: Machine) -> float | None:
    """Token copies of the busiest expert rank over the mean, by the routing of the workload; None: even."""
    from hwsim.part import Parts

    workload, shard = machine.job.spec.workload, machine.shard
    routing = getattr(workload, "routing", None)
    if routing is None or shard is None or shard.model.moe is None or shard.layout.expert_parallel_size == 1:
        return None
    fields = {key: value for key, value in routing.given().items() if key != "kind"}
    part = Parts("hwsim.workload.routing").get(routing.kind)
    found = part(shard.model.moe.experts, folder=machine.job.folder("workload.routing"), **fields)
    return found.load(shard.layout.expert_parallel_size)
