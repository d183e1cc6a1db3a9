"""LoRA adapters of a job: how large they are, where they come from, and what they take on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from hwsim.cost.adapters import KERNELS, AdapterWork
from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.kernel.random import Stream
from hwsim.scenario.rank_copies import beside, copy_all
from hwsim.serving.adapted import Users
from hwsim.serving.adapters import AdapterCache

if TYPE_CHECKING:
    from hwsim.hardware import Device
    from hwsim.model.model import Model
    from hwsim.scenario.build import Simulation
    from hwsim.scenario.job import Job
    from hwsim.serving.kv.room import KvRoom

BYTES = 2  # adapters are kept in 16 bits, whatever the format of the model


def parameters(model: Model, rank: int) -> tuple[int, int]:
    """Weights of one adapter of a model, and how many matrices have a detour (experts have none)."""
    weights = matrices = 0
    for count, block in model.runs:
        products = block.products(model.hidden_size)
        weights += count * sum([rank * (product.n + product.k) for product in products])
        matrices += count * len(products)
    return weights, matrices


def work(job: Job, model: Model, device: Device, launch: float, ranks: int, stages: int = 1) -> AdapterWork:
    """What adapters take on each GPU of a tensor-parallel group; ``launch``: seconds of a kernel.

    Of a pipeline each stage has the adapters of its layers, about as many as any other.
    """
    lora = job.serve.lora
    assert lora is not None
    weights, matrices = parameters(model, lora.rank)
    ranks *= stages
    return AdapterWork(
        weights * BYTES / ranks,
        2 * weights / ranks,
        ceil(KERNELS * matrices / stages),
        lora.max_loras,
        device.hbm_bandwidth,
        device.peak("bf16"),
        launch,
        ranks,
    )


def less_room(job: Job, room: KvRoom, model: Model, ranks: int) -> KvRoom:
    """What is left for KV beside the places of adapters."""
    from dataclasses import replace

    lora = job.serve.lora
    if lora is None:
        return room
    size = parameters(model, lora.rank)[0] * BYTES / ranks * lora.max_loras
    blocks = room.num_gpu_blocks - ceil(size / room.page_bytes) if room.page_bytes else room.num_gpu_blocks
    if blocks < 1:
        raise FitError.of("adapters leave no room for KV", where=job.path("serve.lora"), got=f"{size / 2**30:.3g} GiB")
    return replace(room, weight_bytes=room.weight_bytes + size, num_gpu_blocks=blocks)


def users(simulation: Simulation, job: Job) -> Users:
    """Which request needs which adapter."""
    asked = job.spec.workload.adapters if job.spec.workload is not None else None
    count, skew = (asked.count, asked.skew) if asked is not None else (1, 1.0)
    return Users(count, skew, Stream(simulation.seed, f"{'' if job.only else job.name}/adapters"))


def caches(simulation: Simulation, job: Job) -> list[AdapterCache]:
    """One cache for each engine, filled from the second tier of ``place.adapters`` (``dram``)."""
    lora = job.serve.lora
    assert lora is not None
    found: list[AdapterCache] = []
    for pool in simulation.pools:
        machine = pool.machine
        if machine.job is not job:
            continue
        assert machine.model is not None and machine.system is not None
        fabric = simulation.fabric_of(machine.system)
        weights, _ = parameters(machine.model, lora.rank)
        place = _tier(job)
        for gpus in machine.places:
            size = weights * BYTES / len(gpus)
            transfers = [fabric.transfer(beside(place, gpu), gpu, size) for gpu in gpus]

            def load(adapter: int, on_done: Callable[[], object], transfers: list = transfers) -> None:
                copy_all(simulation.domain, transfers, "adapter", "adapters", on_done)

            found.append(AdapterCache(lora.max_loras, load))
    return found


def _tier(job: Job) -> str:
    """Where adapters are that are not on a GPU."""
    place = job.serve.place.adapters if job.serve.place is not None else None
    if place is None:
        return "dram"
    if (
        place.tiers is None
        or len(place.tiers) != 2
        or place.tiers[0] != "gpu"
        or place.limit
        or place.evict not in (None, "lru")
    ):
        where = job.where(job.path("serve.place.adapters"))
        raise ScenarioError.of(
            "adapters move between the GPU and one other place, the least recently used first",
            where=where,
            expected="tiers: [gpu, dram], with lora.max_loras as the limit",
        )
    return place.tiers[1]


def problems(job: Job) -> list[Problem]:
    """What adapters do not combine with yet."""
    serve = job.serve
    asked = job.spec.workload is not None and job.spec.workload.adapters is not None
    if serve.lora is None:
        where = job.where(job.path("workload.adapters"))
        return [Problem("requests need adapters, but none are served", where, expected="serve.lora")] if asked else []
    where = job.where(job.path("serve.lora"))
    found = [
        Problem(f"not built yet: adapters with {key}", where)
        for key in ("faults", "autoscale", "handover")
        if getattr(serve, key) is not None
    ]
    if job.spec.model is None or job.scenario.spec.system is None:
        found.append(Problem("adapters belong to a model on a machine", where, expected="a model and a system"))
    return found
