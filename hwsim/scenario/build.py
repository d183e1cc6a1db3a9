"""The only composition root: from a scenario to engines on a clock, fed by workloads and priced by hardware."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.memory import MemoryPool
from hwsim.scenario.control import controlled, is_controlled
from hwsim.scenario.handover import disaggregated
from hwsim.scenario.intake import Intake, Progress
from hwsim.scenario.kv_allocation import engine_kind, is_contiguous
from hwsim.scenario.kv_transforms import fetcher, fetching
from hwsim.scenario.machine import Machine, machines
from hwsim.scenario.prices import pricer
from hwsim.scenario.routers import router_of
from hwsim.scenario.talks import session_loop
from hwsim.scenario.tiers import traffic_of
from hwsim.serving.cluster import Cluster
from hwsim.serving.disaggregation import Disaggregation
from hwsim.serving.engine import Engine
from hwsim.serving.flight import LegJournal
from hwsim.serving.front_end import FrontEnd
from hwsim.serving.journal import Journal
from hwsim.serving.pipelined import engine_of
from hwsim.serving.replica import Replica
from hwsim.serving.request import Request
from hwsim.serving.routing import Loads, Router, Seen
from hwsim.serving.schedule_log import ScheduleLog
from hwsim.serving.source import ClosedLoop, OpenLoop, Source, dealt

if TYPE_CHECKING:
    from hwsim.hardware.fabric import Fabric
    from hwsim.hardware.system import System
    from hwsim.scenario.job import Job
    from hwsim.scenario.load import Scenario
    from hwsim.workload.workload import Workload


class Pool:
    """The engines of one pool, with their pricer and what the memory of one of their GPUs holds."""

    def __init__(self, machine: Machine, first: int, clock: Clock) -> None:
        self.machine = machine
        self.first = first  # number of its first engine
        self.pricer = pricer(machine)
        self.gpu_memory = _gpu_memory(machine, clock)
        self.engines: list[Engine] = []

    @property
    def name(self) -> str:
        """The name by which results know it."""
        return self.machine.name


class Simulation:
    """Everything of one run, wired: ``run()`` lets the clock go until nothing is left to happen."""

    def __init__(
        self,
        scenario: Scenario,
        found: list[Machine],
        *,
        seed: int,
        full: bool,
        single_step: bool,
        progress: Progress | None,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.full = full
        self.clock = Clock()
        self.journal = Journal()
        self.domain = Domain(self.clock)
        self.fabric: Fabric | None = None
        self.pools: list[Pool] = []
        self.engines: list[Engine] = []
        for machine in found:
            self._add_pool(machine, single_step)
        jobs = list({id(machine.job): machine.job for machine in found}.values())
        self.intakes = [Intake(workload_of(job), job.name, number, len(jobs)) for number, job in enumerate(jobs)]
        names = dict.fromkeys(machine.profile.name for machine in found)
        self.resolved = scenario.filled(_filled(found), f"engine {', '.join(names)}")
        self.sources = _sources(found)
        self.parts: list[Replica | Cluster | Disaggregation] = []
        self.left_out: list[str] = []  # memories that there was no room for
        for job, intake in zip(jobs, self.intakes, strict=True):
            self.parts += self._connected(job, intake, progress)
            self.left_out += self._injected(job, intake)

    def _add_pool(self, machine: Machine, single_step: bool) -> None:
        pool = Pool(machine, len(self.engines), self.clock)
        config = machine.config
        journal = LegJournal(self.journal) if machine.role == "prefill" else self.journal
        make = engine_kind(machine) if is_contiguous(machine.fields) else engine_of
        for number in range(pool.first, pool.first + machine.engines):
            engine = make(
                config,
                pool.pricer,
                replica=number,
                journal=journal,
                single_step=single_step,
                log=ScheduleLog() if self.full else None,
            )
            pool.engines.append(engine)
            self.engines.append(engine)
        self.pools.append(pool)

    def _connected(
        self, job: Job, intake: Intake, progress: Progress | None
    ) -> list[Replica | Cluster | Disaggregation]:
        """The engines of a job with the source that feeds them, behind its router."""
        pools = [pool for pool in self.pools if pool.machine.job is job]
        engines = [engine for pool in pools for engine in pool.engines]
        front = _front_end(next(pool.machine for pool in self.pools if pool.machine.job is job))
        if job.serve.handover is not None:
            return [disaggregated(self, job, self._source(intake, front, progress))]
        router = router_of(job, "router", len(engines), self.seed)
        traffic = traffic_of(self, pools, watched=hasattr(router, "lost"))
        is_open = intake.workload.closed is None and not intake.workload.sessions
        alone = is_open and traffic is None and not is_controlled(job)
        fetches = len(engines) > 1 and any(fetcher(pool.machine.shard) for pool in pools)
        if alone and len(engines) > 1 and router.sees == "nothing" and not fetches:
            return [*_apart(engines, front.passed(intake.requests(self.seed, progress)), router, self.clock)]
        source = self._source(intake, front, progress)
        if traffic is not None:
            from hwsim.serving.tiered_cluster import TieredCluster

            if is_controlled(job):
                return [controlled(self, job, engines, source, router, traffic)]
            return [TieredCluster(engines, source, router, self.clock, traffic=traffic)]
        if is_controlled(job):
            return [controlled(self, job, engines, source, router)]
        if fetches:
            return [fetching(self, pools, source, router)]
        if len(engines) == 1:
            return [Replica(engines[0], source, self.clock)]
        return [Cluster(engines, source, router, self.clock)]

    def _injected(self, job: Job, intake: Intake) -> list[str]:
        """Memories are where they lie before the first request comes."""
        given = intake.workload.memories(self.seed)
        if not given:
            return []
        from hwsim.scenario.injection import inject

        return inject(job, [p for p in self.pools if p.machine.job is job and p.machine.role != "decode"], given)

    def _source(self, intake: Intake, front: FrontEnd, progress: Progress | None) -> Source:
        """What arrives at the API server of a job: sessions, clients who wait for answers, or requests that do not."""
        workload = intake.workload
        if workload.sessions:
            return session_loop(intake, self.seed, progress, front)
        requests = intake.requests(self.seed, progress)
        if workload.closed is None:
            return OpenLoop(front.passed(requests))
        return ClosedLoop(requests, workload.closed, workload.think, front)

    @property
    def warnings(self) -> list[str]:
        """What the workloads and the costs have to say; it grows while a trace is read and while steps are priced."""
        found = self.left_out + [warning for intake in self.intakes for warning in intake.workload.warnings]
        for pool in self.pools:
            found += getattr(pool.pricer, "outside", list)()
        return list(dict.fromkeys(found))

    def fabric_of(self, system: System | None) -> Fabric:
        """The live capacities of the system, made when somebody first moves bytes over them."""
        if self.fabric is None:
            from hwsim.hardware.fabric import Fabric

            assert system is not None
            self.fabric = Fabric(system)
        return self.fabric

    @property
    def pricer(self) -> Any:
        """The prices of the first pool."""
        return self.pools[0].pricer

    def run(self) -> None:
        """Simulate until every request is completed or refused."""
        for part in self.parts:
            part.start()
        collecting = gc.isenabled()
        gc.disable()  # requests and rows hold no cycles: looking for some would cost a twentieth of the run
        try:
            self.clock.run()
            for part in self.parts:
                part.finish()
        finally:
            if collecting:
                gc.enable()

    def unfinished(self) -> list[tuple[Request, int]]:
        """Requests that an engine still holds (none, unless a run was cut short)."""
        left = [stuck for part in self.parts for stuck in part.stuck()]
        for engine in self.engines:
            if isinstance(engine.journal, LegJournal):
                continue
            held = [*engine.running, *engine.admission.requests(), *engine.inbox, *engine.remote.loading]
            for request in held:
                if request.status not in ("completed", "rejected", "unfinished"):
                    request.status, request.reason = "unfinished", "still in the engine at the end"
                    left.append((request, engine.replica))
        return left


def workload_of(job: Job) -> Workload:
    """What arrives at a job."""
    from hwsim.workload.workload import Workload

    return Workload.from_spec(job.tree.get("workload") or {}, base_dir=job.folder("workload.trace"))


def build(
    scenario: Scenario,
    *,
    seed: int | None = None,
    full: bool = False,
    single_step: bool = False,
    progress: Progress | None = None,
) -> Simulation:
    """Wire up a scenario; ``ScenarioError`` and ``FitError`` say what is wrong with it before anything runs."""
    return Simulation(
        scenario,
        machines(scenario),
        seed=scenario.spec.seed if seed is None else seed,
        full=full,
        single_step=single_step,
        progress=progress,
    )


def _front_end(machine: Machine) -> FrontEnd:
    """The API server of the engine profile; costs that hold all the time and a host without cost mean there is none."""
    if machine.whole_cost or "host" in getattr(machine.device, "ideal", ()):
        return FrontEnd()
    return FrontEnd.of(machine.profile.server)


def _apart(engines: list[Engine], requests: Iterator[Request], router: Router, clock: Clock) -> list[Replica]:
    """Engines that each know their requests in advance, since the router looks at nothing that they do."""
    seen, nothing = Seen(), Loads(len(engines))
    hands = dealt(requests, len(engines), lambda request: router.route(seen.turn(request), nothing))
    return [Replica(engine, OpenLoop(hand), clock) for engine, hand in zip(engines, hands, strict=True)]


def _gpu_memory(machine: Machine, clock: Clock) -> MemoryPool | None:
    """What each GPU holds once the engine has started; more than there is raises ``FitError``."""
    if machine.room is None:
        return None
    pool = MemoryPool("gpu", int(machine.room.total_bytes), clock)
    for owner, size in machine.room.owners().items():
        pool.hold(owner, int(size))
    return pool


FILLED = (
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_model_len",
    "block_size",
    "gpu_memory_utilization",
    "enable_prefix_caching",
    "enable_chunked_prefill",
    "async_scheduling",
    "scheduling_policy",
)


def _filled(found: list[Machine]) -> dict[str, Any]:
    """The engines' choices, to stand in the resolved scenario beside what was written."""
    filled: dict[str, Any] = {}
    for machine in found:
        at = filled if machine.job.only else filled.setdefault("jobs", {}).setdefault(machine.job.name, {})
        serve = at.setdefault("serve", {"engine": machine.profile.name})
        if machine.job.serve.pools is not None:
            serve = serve.setdefault("pools", {}).setdefault(machine.pool, {})
        serve |= {name: machine.settings[name] for name in FILLED}
        serve["replicas"] = machine.replicas
    return filled


def _sources(found: list[Machine]) -> dict[str, str]:
    """Where the numbers of this run come from, for the manifest."""
    named: dict[str, dict[str, None]] = {"engine": {}}
    for machine in found:
        named["engine"][machine.profile.name] = None
        if machine.efficiency is not None and machine.model is not None and machine.device is not None:
            named.setdefault("cost", {})[machine.efficiency.source] = None
            named.setdefault("model", {})[machine.model.source] = None
            named.setdefault("device", {})[machine.device.name] = None
    return {what: "; ".join(names) for what, names in named.items()}
