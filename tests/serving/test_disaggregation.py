"""Laws of prefill and decode on engines of their own: nothing is lost, bytes add up, macro-steps change nothing."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.random import Stream
from hwsim.part import Parts
from hwsim.serving.disaggregation import Disaggregation
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.flight import LegJournal
from hwsim.serving.handover import Figures, Mover, Side, rank_pairs
from hwsim.serving.journal import Journal
from hwsim.serving.request import Request
from hwsim.serving.source import ClosedLoop, OpenLoop
from tests.serving.test_cluster import TICK, Pricer

CONNECTORS = Parts("hwsim.serving.policies.handover")
ROUTERS = Parts("hwsim.serving.policies.router")


def run(seed: int, kind: str, *, single_step: bool = False, closed: bool = False) -> tuple[list, Disaggregation]:
    """A tiny cluster with everything drawn; checks its books."""
    rng = random.Random(seed)
    whole, clock = Journal(), Clock()
    legs = LegJournal(whole)
    sides: list[list[Engine]] = [[], []]
    slow = rng.random() < 0.5
    block = rng.choice([1, 4])
    for side, journal in enumerate((legs, whole)):
        for _ in range(rng.choice([1, 2])):
            config = EngineConfig(
                num_gpu_blocks=rng.choice([80, 200]) // block,
                block_size=block,
                max_num_batched_tokens=rng.choice([8, 32]),
                max_num_seqs=rng.choice([1, 4]),
                async_scheduling=slow,
            )
            number = len(sides[0]) + len(sides[1])
            sides[side].append(
                Engine(config, Pricer(rng), replica=number, journal=journal, single_step=single_step)  # type: ignore
            )
    unit = {"nixl": ["layer", "request"], "sglang": ["chunk", "request"], "p2p_nccl": ["layer", "request"]}
    parameters = SimpleNamespace(unit=rng.choice(unit.get(kind, ["request"])), mode=rng.choice(["push", "pull"]))
    ends = [[Side(("gpu",), 2.0, block) for _ in side] for side in sides]
    mover = Mover(
        Domain(clock),
        *ends,
        Figures(rng.choice([0.0, 3e-12]), rng.choice([0.0, 1e-12]), 4, rng.random() < 0.5),
        2.0,
        fabric=None,
        bandwidth=rng.choice([1e12, 1e13]),
        latency=rng.choice([0.0, 2e-12]),
    )
    requests, time = [], 0
    for index in range(rng.choice([5, 25])):
        time += rng.choice([0, 0, 1, 5, rng.randrange(60)])
        output = rng.randrange(1, 20)
        ids = tuple(rng.randrange(2) for _ in range(3)) if rng.random() < 0.5 else None
        requests.append(Request(index, time, rng.randrange(1, 60), output, output + 5, True, 0, ids, 4))
    routers = tuple(
        ROUTERS.get(name)(SimpleNamespace(by="requests", age=0), len(side), Stream(seed, name))
        for name, side in zip((rng.choice(["round_robin", "least_loaded"]) for _ in sides), sides, strict=True)
    )
    source = ClosedLoop(iter(requests), 3, 1) if closed else OpenLoop(iter(requests))
    connector = CONNECTORS.get(kind)(parameters)
    cluster = Disaggregation(
        *sides, source, routers, connector, mover, clock, whole, local_below=rng.choice([0, 0, 20])
    )
    cluster.start()
    clock.run()
    cluster.finish()
    assert not cluster.stuck()
    table = whole.request_table()
    names = ("index", "replica", "scheduled", "first_token", "finish", "cached_tokens")
    rows = sorted(zip(*(table[name].tolist() for name in names), strict=True))
    others = sorted((request.index, request.reason) for request, _ in whole.others)
    assert len(rows) + len(others) == len(requests)
    for engine in cluster.engines:  # every page has come back
        assert engine.pool.free == engine.pool.usable and not engine.remote.pending
    flights = cluster.handovers.table()
    assert (flights["bytes"] == 2 * flights["tokens"]).all() and int(flights["bytes"].sum()) == round(mover.bytes)
    assert (flights["arrived"] >= flights["prefilled"]).all() and (flights["reserved"] >= flights["asked"]).all()
    by_index = {request.index: request for request in requests}
    for index, tokens in zip(flights["index"].tolist(), flights["tokens"].tolist(), strict=True):
        assert 0 < tokens <= by_index[index].prompt_tokens
    moved = [rows, others, *(flights[name].tolist() for name in sorted(flights))]
    return moved, cluster


@pytest.mark.parametrize("kind", CONNECTORS.names())
@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_lost_and_macro_steps_change_nothing(kind: str, closed: bool) -> None:
    for seed in range(60):
        macro = run(seed, kind, closed=closed)[0]
        assert macro == run(seed, kind, single_step=True, closed=closed)[0], (kind, seed)


def test_rank_pairs_bring_every_head_once_to_each_target() -> None:
    whole = 16.0  # eight heads of two bytes
    for sources in (1, 2, 4, 8, 16):
        for targets in (1, 2, 4, 8, 16):
            held = max(whole / sources, 2.0)
            wanted = max(whole / targets, 2.0)
            pairs = rank_pairs(sources, targets, whole, held, wanted)
            assert sum(size for *_, size in pairs) == pytest.approx(targets * wanted)
            assert {target for _, target, _ in pairs} == set(range(targets))
            assert all(0 <= source < sources for source, *_ in pairs)
    assert rank_pairs(4, 2, 3.0, 3.0, 3.0) == [(0, 0, 3.0), (1, 1, 3.0)]  # a latent cache is whole on every rank


def scenario(**changes: Any) -> hwsim.Scenario:
    base: dict[str, Any] = {
        "model": "meta-llama/Llama-3.1-8B",
        "system": {"node": "dgx-h100"},
        "serve": {
            "handover": "nixl",
            "pools": {"p": {"role": "prefill"}, "d": {"role": "decode", "replicas": 2}},
        },
        "workload": {
            "requests": 1,
            "arrivals": {"kind": "poisson", "rate": "1 /s"},
            "input_tokens": 2000,
            "output_tokens": 5,
        },
    }
    for name, value in changes.items():
        base[name] = {**base[name], **value}
    return hwsim.load(base)


@pytest.mark.parametrize("kind", [kind for kind in CONNECTORS.names() if kind != "in_place"])
def test_a_slower_link_never_shortens_ttft_of_a_request_alone(kind: str) -> None:
    before = 0.0
    for rate in ("400 GB/s", "50 GB/s", "25 GB/s", "1 GB/s"):
        result = hwsim.run(scenario(serve={"handover": {"kind": kind, "bandwidth": rate}}))
        ttft = result.summary["ttft_ms"]["p50"]
        assert ttft >= before
        before = ttft
    sent = 2000 * 131072 / 1e9  # seconds at 1 GB/s
    if CONNECTORS.get(kind).answers_first:
        before = result.summary["e2e_ms"]["p50"]  # prefill has answered by then
    assert before / 1e3 > sent


def test_bytes_are_the_prompts_times_a_decode_rank_times_ranks() -> None:
    pools = {"p": {"role": "prefill", "tensor_parallel_size": 2}, "d": {"role": "decode", "tensor_parallel_size": 4}}
    result = hwsim.run(scenario(serve={"pools": pools}, workload={"requests": 20}))
    assert result.summary["handover"]["bytes"] == 20 * 2000 * 131072  # eight heads over four ranks: each once
    assert result.summary["handover"]["requests"] == 20
    assert result.summary["pools"]["p"]["prefill_tokens"] == 20 * 2000
    assert result.summary["pools"]["d"]["prefill_tokens"] == 20  # the last prompt token again


def test_sglang_computes_nothing_twice_and_short_prompts_stay() -> None:
    result = hwsim.run(scenario(serve={"handover": "sglang"}, workload={"requests": 20}))
    assert result.summary["pools"]["d"]["prefill_tokens"] == 0
    lengths = {"kind": "uniform", "min": 100, "max": 400}
    local = {"local_prefill": {"below": 250}}
    result = hwsim.run(scenario(serve=local, workload={"requests": 50, "input_tokens": lengths}))
    table = result.table("requests")
    short = table["input_tokens"] < 250
    assert result.summary["handover"]["requests"] == int((~short).sum())
    assert result.summary["pools"]["d"]["prefill_tokens"] == int(table["input_tokens"][short].sum() + (~short).sum())


@pytest.mark.parametrize(
    ("serve", "says"),
    [
        ({"handover": None}, "no hand-over"),
        ({"pools": {"p": {"role": "prefill"}, "d": {}}}, "do not go together"),
        ({"pools": {"p": {}, "d": {}}}, "no pool has a role"),
    ],
)
def test_roles_need_each_other(serve: dict[str, Any], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        hwsim.run(scenario(serve=serve))


@pytest.mark.parametrize("kind", [kind for kind in CONNECTORS.names() if kind != "in_place"])
def test_what_decode_refuses_sends_nothing(kind: str) -> None:
    """A prompt that prefill can compute, but no decode replica can hold: refused, and prefill goes on with others."""
    pools = {"p": {"role": "prefill"}, "d": {"role": "decode", "num_gpu_blocks_override": 100}}
    lengths = {"kind": "empirical", "values": [1000, 2000], "weights": [1, 1]}
    work = {"requests": 20, "arrivals": {"kind": "constant", "rate": "20 /s"}, "input_tokens": lengths}
    result = hwsim.run(scenario(serve={"handover": kind, "pools": pools}, workload=work))
    counts = result.summary["requests"]
    assert counts["completed"] + counts["rejected"] == 20 and 0 < counts["rejected"] < 20
    assert result.summary["handover"]["requests"] == counts["completed"]


def test_times_of_a_flight_are_ticks_of_the_clock() -> None:
    _, cluster = run(3, "mooncake")
    assert TICK == 1024 and cluster.clock.now >= max(cluster.handovers.table()["arrived"].tolist())


@pytest.mark.parametrize("lengths", [600, {"kind": "lognormal", "median": 900, "sigma": 1.0, "max": 6000}])
def test_no_chunk_goes_before_it_is_computed(lengths: Any) -> None:
    """However often others give a reason to look: the first bytes go when the first chunk of the prompt is there."""
    many = {"requests": 60, "arrivals": {"kind": "poisson", "rate": "40 /s"}, "input_tokens": lengths}
    result = hwsim.run(scenario(serve={"handover": "sglang", "max_num_batched_tokens": 1024}, workload=many))
    flights, requests = result.table("handovers"), result.table("requests")
    computed = dict(zip(map(str, requests["request_id"]), requests["scheduled_s"].tolist(), strict=True))
    steps = result.table("steps")
    steps = {name: steps[name][steps["replica"] == 0] for name in ("start", "first_duration")}
    for index, started in zip(flights["index"].tolist(), flights["started_s"].tolist(), strict=True):
        first = steps["start"].searchsorted(computed[str(index)])
        assert started >= steps["start"][first] + steps["first_duration"][first] - 1e-9
