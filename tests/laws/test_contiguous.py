"""Contiguous KV mapped on demand: the driver's time in closed form, pages conserved, macro-steps equal single steps."""

from __future__ import annotations

import random
from typing import Any

import pytest

import hwsim
from hwsim.cost.price import StepPrice, StepShape
from hwsim.errors import FitError, ScenarioError
from hwsim.scenario.machine import machine
from hwsim.serving.contiguous import ContiguousEngine, Mapping
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.request import Request
from hwsim.serving.scheduler import SCHEDULERS

TICK = 1 << 10


class Pricer:
    """Affine prices; keeps them so that their tallies can be read."""

    def __init__(self, rng: random.Random) -> None:
        self.slope, self.host = rng.choice([0, 3]), rng.choice([0, 5 * TICK, 30 * TICK])
        self.prices: dict[StepShape, StepPrice] = {}

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = (), /) -> StepPrice:
        tokens = shape.rows + sum(new for new, _ in shape.chunks)
        return self.prices.setdefault(shape, StepPrice(9 * TICK + 7 * tokens, self.slope, host=self.host))


def run(seed: int, *, single_step: bool = False, mapping: Mapping | None = None, drawn: bool = False) -> Any:
    """Stamps of all requests, and the engine (an ordinary one without ``mapping``)."""
    rng = random.Random(seed)
    config = EngineConfig(
        num_gpu_blocks=rng.choice([9, 20, 60]),
        block_size=4,
        max_num_batched_tokens=rng.choice([6, 32]),
        max_num_seqs=rng.choice([2, 6]),
        enable_prefix_caching=False,
        async_scheduling=rng.random() < 0.5,
        scheduling_policy=rng.choice(["fcfs", "fcfs", "priority"]),
        scheduler=rng.choice(SCHEDULERS.names()),
    )
    pricer = Pricer(rng)
    if drawn:
        cost = rng.choice([0, 1, TICK, 4 * TICK, 40 * TICK])
        mapping = Mapping(cost, rng.random() < 0.6, rng.random() < 0.7, rng.choice([0, 0, 1, 5]))
    kind: Any = ContiguousEngine if mapping is not None else Engine
    more = {"mapping": mapping} if mapping is not None else {}
    engine = kind(config, pricer, single_step=single_step, **more)
    requests, time = [], 0
    for index in range(12):
        time += rng.choice([0, 1, 5, rng.randrange(60), rng.randrange(900)])
        output = rng.randrange(1, 40)
        priority = rng.randrange(3)
        requests.append(Request(index, time, rng.randrange(1, 25), output, output + 5, rng.random() < 0.3))
        requests[-1].priority = priority
        engine.submit(requests[-1], time * TICK)
    engine.advance()
    steps = sum(price.steps for price in pricer.prices.values())
    stamps = [(r.status, r.scheduled, r.first_token, r.finish, r.preemptions) for r in requests]
    return stamps, steps, engine


@pytest.mark.parametrize("block", range(3))
def test_macro_steps_equal_single_steps(block: int) -> None:
    saved = delayed = taken = 0
    for seed in range(block * 150, block * 150 + 150):
        macro, steps, engine = run(seed, drawn=True)
        single, same, other = run(seed, drawn=True, single_step=True)
        assert (macro, steps, engine.delays) == (single, same, other.delays), seed
        slots, others = engine.slots, other.slots
        assert (slots.maps, slots.unmaps, slots.reused) == (others.maps, others.unmaps, others.reused), seed
        assert slots.maps - slots.unmaps == slots.held == slots.used + slots.kept <= slots.usable, seed
        assert slots.used == 0
        saved += steps - engine.journal.stretches
        delayed += engine.delays > 0
        taken += engine.mapping.deferred and slots.unmaps > 0
    assert saved > 500
    assert delayed > 50
    assert taken > 5  # pages were taken out of idle places


def test_a_driver_that_takes_no_time_is_paged_memory_without_prefixes() -> None:
    for seed in range(100):
        paged, steps, _ = run(seed)
        assert run(seed, mapping=Mapping(0))[:2] == (paged, steps), seed


def test_a_slower_driver_never_takes_less_time_of_a_request_alone() -> None:
    for prompt, output in ((1, 1), (4, 9), (23, 40)):
        before = 0
        for cost in (0, TICK, 8 * TICK, 100 * TICK):
            last = alone([(prompt, output)], Mapping(cost))[-1]
            assert last >= before
            before = last


def alone(lengths: list[tuple[int, int]], mapping: Mapping) -> list[int]:
    """When requests end that come one after the other."""
    engine = ContiguousEngine(
        EngineConfig(num_gpu_blocks=100, block_size=4, enable_prefix_caching=False, async_scheduling=False),
        Pricer(random.Random(1)),
        mapping=mapping,
    )
    ends = []
    for index, (prompt, output) in enumerate(lengths):
        request = Request(index, 10**6 * index, prompt, output, output)
        engine.submit(request, 10**6 * index * TICK)
        engine.advance()
        assert request.finish is not None
        ends.append(request.finish - 10**6 * index * TICK)
    return ends


def test_every_page_of_a_lone_request_costs_a_call_once() -> None:
    """Pages of the prompt and of all tokens but the last output; the next request finds them mapped."""
    cost = 50 * TICK
    lengths = [(10, 30), (6, 20), (10, 50)]
    free = alone(lengths, Mapping(0, background=False))
    kept = alone(lengths, Mapping(cost, background=False))
    lost = alone(lengths, Mapping(cost, background=False, deferred=False))
    pages = [-(-(prompt + output - 1) // 4) for prompt, output in lengths]
    assert [b - a for a, b in zip(free, kept, strict=True)] == [
        pages[0] * cost,
        0,
        (pages[2] - pages[0]) * cost,
    ]
    given_back = [0, pages[0], pages[1]]  # the next step waits for that
    assert [b - a for a, b in zip(free, lost, strict=True)] == [
        (own + before) * cost for own, before in zip(pages, given_back, strict=True)
    ]


def test_what_is_mapped_ahead_no_request_waits_for() -> None:
    cost, lengths = 50 * TICK, [(10, 30)]
    free = alone(lengths, Mapping(0, background=False))[0]
    pages = -(-(10 + 30 - 1) // 4)
    for ahead in (0, 3, pages, 99):
        late = alone(lengths, Mapping(cost, background=False, ahead=ahead))[0] - free
        assert late == max(pages - ahead, 0) * cost


def test_background_mapping_hides_behind_the_step_before() -> None:
    lengths = [(4, 60)]
    free = alone(lengths, Mapping(0))
    step = 9 * TICK  # about: a decode step of one row
    for cost, hidden in ((step // 2, True), (3 * step, False)):
        late = alone(lengths, Mapping(cost))[0] - free[0] - cost  # the prompt's page is always waited for
        assert (late == 0) is hidden
        assert late < 15 * cost


def scenario(**serve: Any) -> dict[str, Any]:
    return {
        "name": "contiguous",
        "model": {"like": "01-ai/Yi-6B-200K", "dtype": "fp16"},
        "system": {"node": "hgx-a100"},
        "serve": {"max_num_seqs": 16, "max_model_len": 25000, **serve},
        "workload": {
            "requests": 2,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 900,
            "output_tokens": 10,
        },
    }


@pytest.mark.parametrize(
    ("group", "model", "ranks", "tokens"),
    [
        ("64 KiB", "01-ai/Yi-6B-200K", 1, 64),
        ("2 MiB", "01-ai/Yi-6B-200K", 1, 2048),
        ("64 KiB", "01-ai/Yi-34B-200K", 2, 64),
        ("128 KiB", "01-ai/Yi-34B-200K", 1, 64),
    ],
)
def test_a_page_holds_the_tokens_of_a_page_group(group: str, model: str, ranks: int, tokens: int) -> None:
    made = scenario(kv_allocation={"kind": "contiguous", "page_group": group}, tensor_parallel_size=ranks)
    made["model"]["like"] = model
    found = machine(hwsim.load(made))
    assert found.config.block_size == tokens
    assert found.room is not None and found.shard is not None
    assert found.room.page_bytes == found.shard.kv_bytes_per_token * tokens


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enable_prefix_caching": True}, "prefixes"),
        ({"block_size": 32}, "page_group"),
        ({"place": {"kv": ["gpu", "dram"]}}, "KV tiers"),
        ({"kv_allocation": {"kind": "contiguous", "page_group": "1 MiB"}}, "64 KiB, 128 KiB"),
        ({"kv_transform": "streaming"}, "unequal caches"),
        ({"handover": "nixl", "pools": {"p": {"role": "prefill"}, "d": {"role": "decode"}}}, "hand-over"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ScenarioError, match=reason):
        machine(hwsim.load(scenario(**{"kv_allocation": "contiguous", **changes})))


def test_more_addresses_than_there_are_cannot_be_reserved() -> None:
    with pytest.raises(FitError, match="addresses"):
        machine(hwsim.load(scenario(kv_allocation="contiguous", max_num_seqs=100_000, max_num_batched_tokens=100_000)))


def test_paged_kernels_take_their_multiple() -> None:
    def seconds(**allocation: Any) -> tuple[float, float]:
        made = scenario(kv_allocation={"kind": "paged", **allocation} if allocation else None)
        made["workload"] |= {"input_tokens": 20000, "output_tokens": 50}
        summary = hwsim.run(hwsim.load(made)).summary
        return summary["ttft_ms"]["p50"], summary["tpot_ms"]["p50"]

    plain, prefill, decode = seconds(), seconds(prefill_attention=1.5), seconds(decode_attention=2)
    assert prefill[0] > 1.05 * plain[0] and prefill[1] == pytest.approx(plain[1])
    assert decode[0] == pytest.approx(plain[0], rel=1e-3) and decode[1] > 1.05 * plain[1]
    assert seconds(prefill_attention=1, decode_attention=1) == plain


def test_results_say_what_the_driver_did() -> None:
    made = scenario(kv_allocation={"kind": "contiguous", "page_group": "64 KiB", "mapping": "synchronous"})
    made["workload"] |= {"requests": 3, "output_tokens": 200}
    result = hwsim.run(hwsim.load(made))
    pages = -(-(900 + 200 - 1) // 64)
    mapping = result.summary["mapping"]
    assert (mapping["mapped_pages"], mapping["reused_pages"], mapping["unmapped_pages"]) == (pages, 2 * pages, 0)
    assert mapping["waited_s"] == pytest.approx(pages * 64 * 8.6e-6)
    assert "mapping" not in hwsim.run(hwsim.load(scenario(max_model_len=4000))).summary
