"""What is known of a run before the first event: names, machines, limits, prices and bounds, as plain figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool, Simulation
    from hwsim.scenario.machine import Machine


def static_facts(simulation: Simulation) -> dict[str, Any]:
    """Machines, limits and prices of a run as plain figures; with one pool those of the pool stand at the top too."""
    machines = [pool.machine for pool in simulation.pools]
    first = machines[0]
    slo = simulation.scenario.spec.slo
    limits = slo.given() if slo is not None else None
    facts: dict[str, Any] = {
        "name": simulation.scenario.name,
        "model": _joined([machine.model.hf_id for machine in machines if machine.model is not None]),
        "gpu": _joined([machine.device.name for machine in machines if machine.device is not None]),
        "costs": _costs(machines),
        "replicas": len(simulation.engines),
        "tensor_parallel_size": first.tensor_parallel_size if _same(machines, "tensor_parallel_size") else None,
        "gpus_owned": max(machine.gpus_owned for machine in machines),
        "gpus_used": sum(machine.gpus_used for machine in machines),
        "num_gpu_blocks": first.config.num_gpu_blocks,
        "block_size": first.config.block_size,
        "slo": {f"{key}_s" if key != "attainment" else key: value for key, value in limits.items()} if limits else None,
        "capacities": {},
        "energy": None,
        "prices": None,
        "bound": None,
        "pools": {pool.name: pool_facts(pool, len(machines)) for pool in simulation.pools},
    }
    physical = [machine for machine in machines if machine.device is not None]
    if physical:
        _hardware_facts(facts, physical)
        facts["bound"] = _bound(simulation)
    return facts


def pool_facts(pool: Pool, pools: int) -> dict[str, Any]:
    """One pool: where its engines are numbered, what they run on and how much."""
    machine = pool.machine
    return {
        "job": None if machine.job.only else machine.job.name,
        "role": machine.role,
        "group": machine.group or None,
        "model": machine.model.hf_id if machine.model is not None else None,
        "gpu": machine.device.name if machine.device is not None else None,
        "first_replica": pool.first,
        "replicas": machine.engines,
        "tensor_parallel_size": machine.tensor_parallel_size,
        "gpus_used": machine.gpus_used,
        "num_gpu_blocks": machine.config.num_gpu_blocks,
        "usable_blocks": pool.engines[0].pool.usable,
        "block_size": machine.config.block_size,
        "places": [list(gpus) for gpus in machine.places],
    }


def _costs(machines: list[Machine]) -> str | None:
    """Where the prices of steps are from: fitted on the device, borrowed from a relative, or given (None)."""
    laws = [machine.efficiency for machine in machines]
    if any(law is None for law in laws):
        return None
    return "borrowed" if any(law.borrowed for law in laws if law is not None) else "calibrated"


def _joined(names: list[str]) -> str | None:
    return ", ".join(dict.fromkeys(names)) or None


def _same(machines: list[Machine], field: str) -> bool:
    return len({getattr(machine, field) for machine in machines}) == 1


def _hardware_facts(facts: dict[str, Any], machines: list[Machine]) -> None:
    capacities: dict[str, float] = {}
    for machine in machines:
        assert machine.device is not None and machine.model is not None
        rates = {
            "gpu.tensor": machine.device.peak(machine.model.weight_format.compute),
            "gpu.hbm": machine.device.hbm_bandwidth,
            "gpu.nvlink": machine.device.link_bandwidth,
        }
        for name, rate in rates.items():
            capacities[name] = capacities.get(name, 0.0) + rate * machine.gpus_used
    facts["capacities"] = capacities
    facts["prices"] = _prices(machines[0])
    device = machines[0].device
    assert device is not None
    if len({machine.device.name for machine in machines if machine.device is not None}) == 1:
        from hwsim.hardware.power import draw

        facts["energy"] = draw(device)


def _prices(machine: Machine) -> dict[str, Any]:
    """The price of a GPU and hour: that of the only group, or the mean over all GPUs owned."""
    assert machine.system is not None and machine.device is not None
    groups = list(machine.system.groups.values())
    if len(groups) == 1:
        return {"usd_per_gpu_hour": machine.device.hourly_price()}
    total, owned = 0.0, 0
    for group in groups:
        if not group.gpus:
            continue
        price = group.node.gpu.hourly_price()
        value = price.get("median") if isinstance(price, dict) else price
        if value is None:
            return {"usd_per_gpu_hour": None}
        total += float(value) * group.gpus
        owned += group.gpus
    return {"usd_per_gpu_hour": total / owned}


def _bound(simulation: Simulation) -> dict[str, Any]:
    """The least TPOT that peak rates allow, of the pools that decode (the lowest of several)."""
    from hwsim.cost.bounds import bounds

    found = []
    for pool in simulation.pools:
        machine = pool.machine
        if machine.role == "prefill" or machine.shard is None or machine.device is None:
            continue
        rows, context = mean_batch(simulation, pool)
        least = bounds(machine.shard, machine.device, rows=max(rows, 1), context=max(context, 1))
        found.append((least.tpot_s, least.tpot_by))
    tpot, by = min(found)
    return {"tpot_s": tpot, "by": by}


def mean_batch(simulation: Simulation, pool: Pool) -> tuple[int, int]:
    """Decode rows and summed context of a pool's mean decode step, for the bound beside the result."""
    table = simulation.journal.stretch_table()
    mine = (table["replica"] >= pool.first) & (table["replica"] < pool.first + pool.machine.engines)
    rows, steps = table["decode_rows"], table["steps"]
    decoding = (rows > 0) & mine
    total = int(steps[decoding].sum())
    if not total:
        return 0, 0
    weight, context = steps[decoding], table["context"][decoding]
    contexts = weight * context + rows[decoding] * (weight * (weight - 1) // 2)
    return round(int((weight * rows[decoding]).sum()) / total), round(int(contexts.sum()) / total)
