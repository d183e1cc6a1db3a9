"""The only composition root: from a scenario to engines on a clock, fed by a workload and priced by hardware."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hwsim.kernel.clock import Clock
from hwsim.kernel.memory import MemoryPool
from hwsim.scenario.machine import Machine, machine
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.journal import Journal
from hwsim.serving.replica import Replica
from hwsim.serving.request import Request
from hwsim.serving.schedule_log import ScheduleLog
from hwsim.serving.source import ClosedLoop, OpenLoop, Source, dealt
from hwsim.units import ticks

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.workload.requests import Requests
    from hwsim.workload.workload import Workload

Progress = Callable[[float, str], None]


class Simulation:
    """Everything of one run, wired: ``run()`` lets the clock go until nothing is left to happen."""

    def __init__(
        self,
        scenario: Scenario,
        machine: Machine,
        workload: Workload,
        *,
        seed: int,
        full: bool,
        single_step: bool,
        progress: Progress | None,
    ) -> None:
        self.scenario = scenario
        self.machine = machine
        self.workload = workload
        self.seed = seed
        self.full = full
        self.clock = Clock()
        self.journal = Journal()
        self.pricer = _pricer(scenario, machine)
        self.room = machine.room
        self.gpu_memory = _gpu_memory(machine, self.clock)
        self.warnings = workload.warnings  # it grows while a trace is read
        self.resolved = scenario.filled(_filled(machine), f"engine {machine.profile.name}")
        self.sources = _sources(machine)
        requests = _counted(_requests(workload, seed), workload.total, progress)
        config = engine_config(machine)
        self.replicas: list[Replica] = []
        for number, source in enumerate(_sources_of(workload, requests, machine.replicas)):
            engine = Engine(
                config,
                self.pricer,
                replica=number,
                journal=self.journal,
                single_step=single_step,
                log=ScheduleLog() if full else None,
            )
            self.replicas.append(Replica(engine, source, self.clock))

    def run(self) -> None:
        """Simulate until every request is completed or refused."""
        for replica in self.replicas:
            replica.start()
        collecting = gc.isenabled()
        gc.disable()  # requests and rows hold no cycles: looking for some would cost a twentieth of the run
        try:
            self.clock.run()
        finally:
            if collecting:
                gc.enable()

    def unfinished(self) -> list[tuple[Request, int]]:
        """Requests that an engine still holds (none, unless a run was cut short)."""
        left = []
        for replica in self.replicas:
            engine = replica.engine
            held = [*engine.running, *engine.admission.requests(), *engine.inbox]
            for request in held:
                if request.status not in ("completed", "rejected"):
                    request.status, request.reason = "unfinished", "still in the engine at the end"
                    left.append((request, engine.replica))
        return left

    def mean_batch(self) -> tuple[int, int]:
        """Decode rows and summed context of the mean decode step, for the bound beside the result."""
        table = self.journal.stretch_table()
        rows, steps = table["decode_rows"], table["steps"]
        decoding = rows > 0
        total = int(steps[decoding].sum())
        if not total:
            return 0, 0
        weight, context = steps[decoding], table["context"][decoding]
        contexts = weight * context + rows[decoding] * (weight * (weight - 1) // 2)
        return round(int((weight * rows[decoding]).sum()) / total), round(int(contexts.sum()) / total)

    @property
    def static_facts(self) -> dict[str, Any]:
        """What is known before the first event: names, machine, limits, prices."""
        return static_facts(self)


def build(
    scenario: Scenario,
    *,
    seed: int | None = None,
    full: bool = False,
    single_step: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Wire up a scenario; ``ScenarioError`` and ``FitError`` say what is wrong with it before anything runs."""
    from hwsim.workload.workload import Workload

    found = machine(scenario)
    workload = Workload.from_spec(scenario.tree.get("workload") or {}, base_dir=scenario.folder("workload.trace"))
    return Simulation(
        scenario,
        found,
        workload,
        seed=scenario.spec.seed if seed is None else seed,
        full=full,
        single_step=single_step,
        progress=progress,
    )


def engine_config(machine: Machine) -> EngineConfig:
    """The engine's start-up options on this machine."""
    settings, pool = machine.settings, machine.room
    blocks = pool.num_gpu_blocks if pool is not None else settings["num_gpu_blocks"]
    return EngineConfig.of(settings, blocks)


def _pricer(scenario: Scenario, machine: Machine) -> Any:
    cost = scenario.spec.prices()
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


def _gpu_memory(machine: Machine, clock: Clock) -> MemoryPool | None:
    """What each GPU holds once the engine has started; more than there is raises ``FitError``."""
    if machine.room is None:
        return None
    pool = MemoryPool("gpu", int(machine.room.total_bytes), clock)
    for owner, size in machine.room.owners().items():
        pool.hold(owner, int(size))
    return pool


def _filled(machine: Machine) -> dict[str, Any]:
    """The engine's choices, to stand in the resolved scenario beside what was written."""
    settings = machine.settings
    serve: dict[str, Any] = {"engine": machine.profile.name}
    for name in (
        "max_num_seqs",
        "max_num_batched_tokens",
        "max_model_len",
        "block_size",
        "gpu_memory_utilization",
        "enable_prefix_caching",
        "enable_chunked_prefill",
        "async_scheduling",
        "scheduling_policy",
    ):
        serve[name] = settings[name]
    serve["replicas"] = machine.replicas
    return {"serve": serve}


def _sources(machine: Machine) -> dict[str, str]:
    """Where the numbers of this run come from, for the manifest."""
    sources = {"engine": machine.profile.name}
    if machine.efficiency is not None and machine.model is not None and machine.device is not None:
        sources["cost"] = machine.efficiency.source
        sources["model"] = machine.model.source
        sources["device"] = machine.device.name
    return sources


def _requests(workload: Workload, seed: int) -> Iterator[Request]:
    """Engine requests from the workload's chunks of columns."""
    index = 0
    for chunk in workload.chunks(seed):
        yield from _from_chunk(chunk, index)
        index += len(chunk)


def _from_chunk(chunk: Requests, first: int) -> Iterator[Request]:
    count = len(chunk)
    prefixes = chunk.prefix_ids if chunk.prefix_ids is not None else [None] * count
    names = chunk.request_id if chunk.request_id is not None else [None] * count
    rows = zip(
        range(first, first + count),
        chunk.arrival.tolist(),
        chunk.input_tokens.tolist(),
        chunk.output_tokens.tolist(),
        chunk.max_tokens.tolist(),
        chunk.eos.tolist(),
        chunk.priority.tolist(),
        prefixes,
        names,
        strict=True,
    )
    block = chunk.prefix_block
    for index, arrival, prompt, output, most, eos, priority, prefix, name in rows:
        yield Request(index, arrival, prompt, output, most, eos, priority, prefix or None, block, name)


def _counted(requests: Iterator[Request], total: int | None, progress: Progress | None) -> Iterator[Request]:
    if progress is None:
        return requests
    return _reporting(requests, total, progress)


def _reporting(requests: Iterator[Request], total: int | None, progress: Progress) -> Iterator[Request]:
    for number, request in enumerate(requests):
        if number % 1024 == 0:
            progress(number / total if total else 0.0, f"{number:,} requests")
        yield request


def _sources_of(workload: Workload, requests: Iterator[Request], replicas: int) -> list[Source]:
    """One source per replica: an open loop is dealt round robin, closed-loop clients are split evenly."""
    streams = dealt(requests, replicas)
    if workload.closed is None:
        return [OpenLoop(stream) for stream in streams]
    clients = [workload.closed // replicas + (i < workload.closed % replicas) for i in range(replicas)]
    return [ClosedLoop(stream, count, workload.think) for stream, count in zip(streams, clients, strict=True) if count]


def static_facts(simulation: Simulation) -> dict[str, Any]:
    """Machine, limits and prices of a run as plain figures."""
    spec, machine = simulation.scenario.spec, simulation.machine
    device, config = machine.device, simulation.replicas[0].engine.config
    slo = spec.slo.given() if spec.slo is not None else None
    facts: dict[str, Any] = {
        "name": simulation.scenario.name,
        "model": machine.model.hf_id if machine.model is not None else None,
        "gpu": device.name if device is not None else None,
        "replicas": machine.replicas,
        "tensor_parallel_size": machine.tensor_parallel_size,
        "gpus_owned": machine.gpus_owned,
        "gpus_used": machine.gpus_used,
        "num_gpu_blocks": config.num_gpu_blocks,
        "block_size": config.block_size,
        "slo": {f"{key}_s" if key != "attainment" else key: value for key, value in slo.items()} if slo else None,
        "capacities": {},
        "energy": None,
        "prices": None,
        "bound": None,
    }
    if device is not None and machine.shard is not None and machine.model is not None:
        _hardware_facts(facts, machine, simulation)
    return facts


def _hardware_facts(facts: dict[str, Any], machine: Machine, simulation: Simulation) -> None:
    from hwsim.cost.bounds import bounds

    device, shard, model = machine.device, machine.shard, machine.model
    assert device is not None and shard is not None and model is not None
    used = machine.gpus_used
    facts["capacities"] = {
        "gpu.tensor": device.peak(model.weight_format.compute) * used,
        "gpu.hbm": device.hbm_bandwidth * used,
        "gpu.nvlink": device.link_bandwidth * used,
    }
    facts["energy"] = {
        "idle_w": device.get("idle_power"),
        "tdp_w": device.get("tdp"),
        "pj_per_flop": _pico(device.get("pj_per_flop")),
        "pj_per_byte": _pico(device.get("pj_per_byte")),
    }
    facts["prices"] = {"usd_per_gpu_hour": device.hourly_price()}
    rows, context = simulation.mean_batch()
    least = bounds(shard, device, rows=max(rows, 1), context=max(context, 1))
    facts["bound"] = {"tpot_s": least.tpot_s, "by": least.tpot_by}


def _pico(value: float | None) -> float | None:
    return None if value is None else value * 1e12
