"""What a step of a pool's engines costs: the law that the scenario asks for, on the pool's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.scenario.machine import Machine


def pricer(machine: Machine) -> Any:
    """The pricer that all engines of a pool share."""
    cost = machine.fields.cost or machine.job.spec.prices()
    if cost is not None and cost.kind == "constant":
        from hwsim.cost.constant import ConstantPricer

        return ConstantPricer(ticks(cost.step), ticks(cost.host))
    from hwsim.cost.roofline import RooflinePricer

    assert machine.shard is not None and machine.device is not None and machine.efficiency is not None
    settings = machine.settings
    return RooflinePricer(
        machine.shard,
        machine.device,
        machine.efficiency,
        capture_sizes=machine.profile.capture_sizes(settings["max_num_seqs"], settings["max_num_batched_tokens"]),
        host_base=machine.profile.host["base"],
        host_per_row=machine.profile.host["per_row"],
        max_model_len=settings["max_model_len"],
    )
