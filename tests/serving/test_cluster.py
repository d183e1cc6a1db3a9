"""Laws of the cluster: what a router sees is what all calls before that time have left, however lazily it is found."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from hwsim.cost.price import StepPrice, StepShape
from hwsim.kernel.clock import Clock
from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.serving.cluster import Cluster
from hwsim.serving.engine import FAR, Engine, EngineConfig
from hwsim.serving.journal import Journal
from hwsim.serving.outlook import EngineOutlook
from hwsim.serving.request import Request
from hwsim.serving.routing import Loads, Seen
from hwsim.serving.source import ClosedLoop, OpenLoop

TICK = 1 << 10
ROUTERS = Parts("hwsim.serving.policies.router")


class Pricer:
    """A base, a cost per token and a slope in the summed context."""

    def __init__(self, rng: random.Random) -> None:
        self.base, self.slope = rng.choice([TICK, 10 * TICK, 7]), rng.choice([0, 1, TICK])
        self.host = rng.choice([0, 5 * TICK, 20 * TICK])

    def price(self, shape: StepShape, context: int) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        return StepPrice(self.base + tokens, self.slope, host=self.host)


def case(seed: int, *, single_step: bool = False) -> tuple[random.Random, list[Engine], list[Request]]:
    rng = random.Random(seed)
    count = rng.choice([2, 3, 5])
    shared = {"block_size": 4, "async_scheduling": rng.random() < 0.5}
    journal = Journal()
    engines = []
    for number in range(count):
        config = EngineConfig(
            num_gpu_blocks=rng.choice([12, 40]),
            max_num_batched_tokens=rng.choice([8, 32]),
            max_num_seqs=rng.choice([1, 4]),
            **shared,
        )
        engines.append(Engine(config, Pricer(rng), replica=number, journal=journal, single_step=single_step))
    requests, time = [], 0
    for index in range(rng.choice([10, 40])):
        time += rng.choice([0, 0, 1, 5, rng.randrange(60)])
        output = rng.randrange(1, 20)
        ids = (rng.randrange(3),) if rng.random() < 0.5 else None
        requests.append(Request(index, time, rng.randrange(1, 30), output, output + 5, output % 3 > 0, 0, ids, 4))
    return rng, engines, requests


def parameters(kind: str, rng: random.Random) -> Any:
    return SimpleNamespace(
        kind=kind,
        by=rng.choice(["requests", "tokens"]),
        age=rng.choice([0, 0, 7e-12, 100e-12]),
        blocks=1,
        version=rng.choice(["0.11", "0.33"]),
        threshold=rng.choice([0.0, 0.5]),
        imbalance=rng.choice([1, 32]),
        capacity=rng.choice([2, 1000]),
        prefill_load_scale=rng.choice([0.0, 1.0, 2.5]),
        device_credit=1.0,
        host_credit=0.75,
        disk_credit=0.25,
        ttft=100e-12,
        tpot=20e-12,
        pack=rng.random() < 0.5,
    )


class Watching:
    """A router that writes down what it was shown."""

    def __init__(self, router: Any) -> None:
        self.router, self.sees, self.age = router, router.sees, router.age
        self.shown: list[tuple] = []

    def route(self, request: Seen, loads: Loads) -> int:
        chosen = self.router.route(request, loads)
        shown = (list(loads.requests), list(loads.tokens)) if self.sees != "nothing" else ()
        if self.sees == "engines":
            shown += (list(loads.waiting), list(loads.running), list(loads.kv_usage))
        self.shown.append((chosen, shown))
        return chosen


def times(engines: list[Engine]) -> list[tuple]:
    table = engines[0].journal.request_table()
    rows = sorted(zip(*(table[name].tolist() for name in ("index", "replica", "first_token", "finish")), strict=True))
    return [*rows, *sorted((request.index, request.reason) for request, _ in engines[0].journal.others)]


def run(seed: int, kind: str, *, single_step: bool = False) -> tuple[list, list]:
    rng, engines, requests = case(seed, single_step=single_step)
    router = Watching(ROUTERS.get(kind)(parameters(kind, rng), len(engines), Stream(seed, "router")))
    clock = Clock()
    cluster = Cluster(engines, OpenLoop(iter(requests)), router, clock)
    cluster.loads.outlook = EngineOutlook(engines)
    cluster.start()
    clock.run()
    return times(engines), router.shown


def brute_force(seed: int, kind: str) -> tuple[list, list]:
    """Every engine is brought to every arrival (or refresh), call by call."""
    rng, engines, requests = case(seed)
    router = Watching(ROUTERS.get(kind)(parameters(kind, rng), len(engines), Stream(seed, "router")))
    loads, seen, held = Loads(len(engines)), Seen(), []
    loads.outlook = EngineOutlook(engines)
    view, refreshed = loads, -1
    for engine in engines:
        engine.listened = True

    def bring(time: int) -> None:
        for number, engine in enumerate(engines):
            engine.advance(time)
            while engine.notices and engine.notices[0][0] <= time:
                loads.ended(number, engine.notices.popleft()[1])
                engine.advance(time)

    for request in requests:
        time = request.arrival // router.age * router.age if router.age else request.arrival
        if not router.age or time > refreshed:
            refreshed = time
            bring(time * TICK)
            loads.look(engines)
            view = loads.copy()
        number = router.route(seen.turn(request), view)
        engines[number].submit(request, request.arrival * TICK)
        loads.sent(number, request)
        held.append(request)
    for engine in engines:
        engine.listened = False
        engine.notices.clear()  # nobody takes them any more
        engine.advance(FAR)
    return times(engines), router.shown


@pytest.mark.parametrize("kind", ROUTERS.names())
def test_routers_see_what_brute_force_sees(kind: str) -> None:
    for seed in range(60):
        assert run(seed, kind) == brute_force(seed, kind), (kind, seed)


@pytest.mark.parametrize("kind", ROUTERS.names())
def test_macro_steps_change_no_choice_and_no_time(kind: str) -> None:
    for seed in range(60):
        assert run(seed, kind) == run(seed, kind, single_step=True), (kind, seed)


@pytest.mark.parametrize("kind", ROUTERS.names())
def test_a_closed_loop_keeps_its_clients_busy_in_macro_and_single_steps(kind: str) -> None:
    def outcome(seed: int, single_step: bool) -> list[tuple]:
        rng, engines, requests = case(seed, single_step=single_step)
        count = len(requests)
        clients = rng.randrange(1, 6)
        clock = Clock()
        router = ROUTERS.get(kind)(parameters(kind, rng), len(engines), Stream(seed, "router"))
        cluster = Cluster(engines, ClosedLoop(iter(requests), clients, rng.choice([0, 3])), router, clock)
        cluster.loads.outlook = EngineOutlook(engines)
        cluster.start()
        clock.run()
        found = times(engines)
        assert len(found) == count
        starts = sorted((request.arrival_alone, 1) for request in requests)
        ends = [(r.finish, -1) for r in requests if r.finish is not None and r.status == "completed"]
        level, most = 0, 0
        for _, change in sorted([*starts, *ends]):
            level += change
            most = max(most, level)
        if len(ends) == count:
            assert most <= clients
        return found

    for seed in range(40):
        assert outcome(seed, False) == outcome(seed, True), (kind, seed)


def test_policies_never_see_the_length_of_an_answer() -> None:
    seen = Seen().turn(Request(0, 0, 5, 7))
    assert not [name for name in dir(seen) if "output" in name]
    assert seen.prompt_tokens == 5


def test_least_loaded_takes_turns_among_equals_and_power_of_two_draws_two() -> None:
    least = ROUTERS.get("least_loaded")(SimpleNamespace(by="requests", age=0), 3, Stream(0, "r"))
    loads = Loads(3)
    assert [least.route(Seen(), loads) for _ in range(4)] == [0, 1, 2, 0]
    loads.requests[:] = [2, 0, 1]
    assert least.route(Seen(), loads) == 1
    loads.open.remove(2)
    two = ROUTERS.get("power_of_two")(SimpleNamespace(by="requests", age=0), 3, Stream(0, "r"))
    assert {two.route(Seen(), loads) for _ in range(50)} == {1}  # of two replicas both are always drawn
